// `ringbolt doctor --engine-stats`: reads what a service has written of its engine, and prints what lib/probe makes of it.

import { readText } from '../topology/sysfs.js';
import { judgeEngineStats } from '../probe/engine-stats.js';
import type { ProbeFeature } from '../probe/report.js';
import { formatFeatures } from './doctor-text.js';
import { couldNotRun, printJson } from './path-command.js';
import { printable } from './text.js';

/** Raised whenever a field of the JSON changes its meaning. */
const SCHEMA = 1;
/** 256 queues and 16 classes come to some hundred kilobytes. */
const MAX_BYTES = 16 * 2 ** 20;

export function adviseOnStats(file: string, json: boolean): number {
  const shown = printable(file);
  const text = readText(file, MAX_BYTES);
  if (text === undefined) {
    return couldNotRun(`${shown}: it cannot be read, or is larger than ${MAX_BYTES} bytes`);
  }
  let findings: readonly ProbeFeature[];
  try {
    findings = judgeEngineStats(JSON.parse(text));
  } catch (error) {
    return couldNotRun(`${shown}: ${printable((error as Error).message)}`);
  }
  if (json) printJson({ schema: SCHEMA, findings });
  else process.stdout.write(formatAdvice(findings));
  return 0;
}

function formatAdvice(findings: readonly ProbeFeature[]): string {
  const advised = findings.filter(({ degraded }) => degraded).length;
  const summary =
    advised === 0 ? 'Nothing to advise.' : `${advised} of ${findings.length} could be better.`;
  return [...formatFeatures(findings), '', summary, ''].join('\n');
}
