// What `doctor` and `topology` share: a command that may be given a path, says what it finds for people or as JSON, and ends
// with an exit code.

import { Command } from 'commander';

interface Flags {
  readonly json?: boolean;
  /** Of `doctor`. */
  readonly engineStats?: string;
}

export interface PathCommand {
  readonly name: string;
  readonly description: string;
  /** What may be named, and what is done to it. */
  readonly argument: string;
  /** Examples and exit codes. */
  readonly help: string;
  /** Further options: flags and descriptions. */
  readonly options?: readonly (readonly [string, string])[];
  /** Prints, as JSON if that was asked for, and returns the exit code. */
  readonly run: (path: string | undefined, json: boolean, flags: Flags) => Promise<number>;
}

export function pathCommand(command: PathCommand): Command {
  const { name, description, argument, help, options = [], run } = command;
  const made = new Command(name)
    .description(description)
    .argument('[path]', argument)
    .option('--json', 'print it as JSON')
    .addHelpText('after', help)
    .action(async (path: string | undefined, flags: Flags) => {
      process.exitCode = await run(path, flags.json ?? false, flags);
    });
  for (const [flags, text] of options) made.option(flags, text);
  return made;
}

/** `schema` is raised whenever a field changes its meaning. */
export function printJson(found: {
  readonly schema: number;
  readonly [field: string]: unknown;
}): void {
  process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
}

/** Returns the exit code of a command that could not run. */
export function couldNotRun(reason: string): number {
  process.stderr.write(`error: ${reason}\n`);
  return 1;
}
