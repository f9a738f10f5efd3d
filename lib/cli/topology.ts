// `ringbolt topology`: the machine, its disks and what a path lies on (lib/topology/), as a picture.

import { Command } from 'commander';
import { readMachine } from '../topology/machine.js';
import { readDisks, readStorage, type Storage } from '../topology/storage.js';
import { formatMachine } from './machine-text.js';
import { formatStorage } from './storage-text.js';
import { printable } from './text.js';

interface Flags {
  readonly json?: boolean;
}

/** Raised whenever a field of the JSON changes its meaning. */
const SCHEMA = 1;

export function topologyCommand(): Command {
  return new Command('topology')
    .description('Show nodes, CPUs, caches and disks, and what a path lies on')
    .argument('[path]', 'a file, folder or block device; not opened')
    .option('--json', 'print it as JSON')
    .addHelpText('after', HELP)
    .action(async (path: string | undefined, flags: Flags) => {
      process.exitCode = await topology(path, flags);
    });
}

const HELP = `
Examples:
  ringbolt topology
  ringbolt topology /srv/data/blobs
  ringbolt topology /dev/md127 --json

Exit codes: 0 fine, 1 could not run.`;

async function topology(path: string | undefined, flags: Flags): Promise<number> {
  let storage: Storage | undefined;
  try {
    storage = path === undefined ? undefined : await readStorage(path);
  } catch (error) {
    process.stderr.write(
      `error: ${printable(error instanceof Error ? error.message : String(error))}\n`,
    );
    return 1;
  }
  const machine = readMachine();
  const disks = await readDisks();
  if (flags.json === true) {
    process.stdout.write(
      `${JSON.stringify({ schema: SCHEMA, machine, disks, storage }, null, 2)}\n`,
    );
    return 0;
  }
  process.stdout.write(formatMachine(machine, disks));
  if (storage !== undefined) process.stdout.write(`\n${formatStorage(storage)}`);
  return 0;
}
