// `ringbolt topology`: the machine, its disks and what a path lies on (lib/topology/), as a picture.

import type { Command } from 'commander';
import { readMachine } from '../topology/machine.js';
import { nodesForQueues } from '../topology/placement.js';
import { readDisks, readStorage, type Storage } from '../topology/storage.js';
import { formatMachine } from './machine-text.js';
import { couldNotRun, pathCommand, printJson } from './path-command.js';
import { formatStorage } from './storage-text.js';
import { printable } from './text.js';

/** Raised whenever a field of the JSON changes its meaning. */
const SCHEMA = 1;

export function topologyCommand(): Command {
  return pathCommand({
    name: 'topology',
    description: 'Show nodes, CPUs, caches and disks, and what a path lies on',
    argument: 'a file, folder or block device; not opened',
    help: HELP,
    run: topology,
  });
}

const HELP = `
Of each node: "allowed" are the CPUs that this process may use, "queues on" those that an engine's queues are bound
to, where these are not all.

Examples:
  ringbolt topology
  ringbolt topology /srv/data/blobs
  ringbolt topology /dev/md127 --json

Exit codes: 0 fine, 1 could not run.`;

async function topology(path: string | undefined, json: boolean): Promise<number> {
  let storage: Storage | undefined;
  try {
    storage = path === undefined ? undefined : await readStorage(path);
  } catch (error) {
    return couldNotRun(printable(error instanceof Error ? error.message : String(error)));
  }
  const machine = readMachine();
  const disks = await readDisks();
  if (json) {
    printJson({ schema: SCHEMA, machine, queuesOn: nodesForQueues(machine), disks, storage });
    return 0;
  }
  process.stdout.write(formatMachine(machine, disks));
  if (storage !== undefined) process.stdout.write(`\n${formatStorage(storage)}`);
  return 0;
}
