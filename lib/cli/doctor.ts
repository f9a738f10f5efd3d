// `ringbolt doctor`: what this machine allows, and how to mend the rest. The probe (lib/probe/) finds out; this prints.

import type { Command } from 'commander';
import { packageVersion } from '../../bench/environment.js';
import { RingboltError } from '../errors.js';
import { probe } from '../probe/probe.js';
import type { ProbeReport } from '../probe/report.js';
import { formatProbe } from './doctor-text.js';
import { adviseOnStats } from './engine-stats.js';
import { couldNotRun, pathCommand, printJson } from './path-command.js';

/** Raised whenever a field of the JSON changes its meaning. */
const SCHEMA = 1;

export function doctorCommand(): Command {
  return pathCommand({
    name: 'doctor',
    description: 'Say what this machine allows, why not more, and what to do about it',
    argument: 'a file, folder or block device to look at as well; only read',
    help: HELP,
    options: [['--engine-stats <file>', "advise on an engine's figures instead; see below"]],
    run: doctor,
  });
}

const HELP = `
Changes nothing: what has to be tried (a ring, a small engine, binding a thread) is undone at once.

A service writes its figures for --engine-stats with
  JSON.stringify({ info: engine.info, stats: engine.stats() })

Examples:
  ringbolt doctor
  ringbolt doctor /srv/data/blobs
  ringbolt doctor /dev/nvme0n1 --json
  ringbolt doctor --engine-stats /tmp/engine.json

Exit codes: 0 an engine runs here, and the path can be read; 1 it does not, or cannot. With --engine-stats: 0 the
figures could be judged, whatever came of it; 1 they could not.`;

async function doctor(
  path: string | undefined,
  json: boolean,
  { engineStats }: { readonly engineStats?: string },
): Promise<number> {
  if (engineStats !== undefined) {
    if (path !== undefined) return couldNotRun('a path and --engine-stats do not go together');
    return adviseOnStats(engineStats, json);
  }
  if (path === '') return couldNotRun('the path is empty');
  let report: ProbeReport;
  try {
    report = await probe(path === undefined ? {} : { path });
  } catch (error) {
    if (!(error instanceof RingboltError)) throw error;
    return couldNotRun(error.message); // not even a thread can be had
  }
  const ringbolt = packageVersion();
  if (json) printJson({ schema: SCHEMA, ringbolt, ...report });
  else process.stdout.write(formatProbe(report, ringbolt));
  return report.ok ? 0 : 1;
}
