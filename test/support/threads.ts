// This process's threads as the kernel sees them.

import { readdirSync, readFileSync } from 'node:fs';
import { parseCpuList } from '../../dist/lib/topology/cpu-list.js';

/** The CPUs that each thread of that name may run on. */
export function cpusOfThreads(name: string): readonly (readonly number[])[] {
  return readdirSync('/proc/self/task').flatMap((id) => {
    const folder = `/proc/self/task/${id}`;
    if (readFileSync(`${folder}/comm`, 'utf8').trim() !== name) return [];
    const status = readFileSync(`${folder}/status`, 'utf8');
    return [parseCpuList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)![1]!)];
  });
}

/** The CPUs that this thread may run on. */
export function allowedCpus(): readonly number[] {
  const status = readFileSync('/proc/thread-self/status', 'utf8');
  return parseCpuList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)![1]!);
}
