#!/usr/bin/env node
// The command `ringbolt`. Each subcommand is a file of its own, and says in its help what it does and how it exits.

import { Command } from 'commander';
import { packageVersion } from '../../bench/environment.js';
import { benchCommand } from './bench.js';
import { doctorCommand } from './doctor.js';
import { protectCommand } from './protect.js';
import { statusCommand } from './status.js';
import { topologyCommand } from './topology.js';

const program = new Command('ringbolt')
  .description('Block I/O engine for Node.js on Linux')
  .version(packageVersion())
  .showHelpAfterError('(--help shows what there is)');

const COMMANDS = [
  benchCommand(),
  doctorCommand(),
  protectCommand(),
  statusCommand(),
  topologyCommand(),
];
for (const command of COMMANDS) {
  program.addCommand(command.copyInheritedSettings(program));
}

program.parseAsync().catch((error: unknown) => {
  // Not one of the errors that a command expects: it is a bug, and the stack says where.
  console.error(error);
  process.exitCode = 1;
});
