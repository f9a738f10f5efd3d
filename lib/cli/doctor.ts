// `ringbolt doctor`: what this machine allows, and how to mend the rest. The probe (lib/probe/) finds out; this prints.

import { Command } from 'commander';
import { packageVersion } from '../../bench/environment.js';
import { RingboltError } from '../errors.js';
import { probe } from '../probe/probe.js';
import type { ProbeReport } from '../probe/report.js';
import { formatProbe } from './doctor-text.js';

interface Flags {
  readonly json?: boolean;
}

/** Raised whenever a field of the JSON changes its meaning. */
const SCHEMA = 1;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Say what this machine allows, why not more, and what to do about it')
    .argument('[path]', 'a file, folder or block device to look at as well; only read')
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', HELP)
    .action(async (path: string | undefined, flags: Flags) => {
      process.exitCode = await doctor(path, flags);
    });
}

const HELP = `
Changes nothing: what has to be tried (a ring, a small engine, binding a thread) is undone at once.

Examples:
  ringbolt doctor
  ringbolt doctor /srv/data/blobs
  ringbolt doctor /dev/nvme0n1 --json

Exit codes: 0 an engine runs here, and the path can be read; 1 it does not, or cannot.`;

async function doctor(path: string | undefined, flags: Flags): Promise<number> {
  if (path === '') {
    process.stderr.write('error: the path is empty\n');
    return 1;
  }
  let report: ProbeReport;
  try {
    report = await probe(path === undefined ? {} : { path });
  } catch (error) {
    if (!(error instanceof RingboltError)) throw error;
    process.stderr.write(`error: ${error.message}\n`); // not even a thread can be had
    return 1;
  }
  const ringbolt = packageVersion();
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ schema: SCHEMA, ringbolt, ...report }, null, 2)}\n`
      : formatProbe(report, ringbolt),
  );
  return report.ok ? 0 : 1;
}
