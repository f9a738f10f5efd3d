// The findings of a probe as a table: a mark, a name, what was found; below it why not more, and the remedy.

import type { ProbeFeature, ProbeReport } from '../probe/report.js';
import { printable, wrap } from './text.js';

const WIDTH = 100;
const MARKS = { yes: '✓', degraded: '~', no: '✗' } as const;

/** One finding after the other. */
export function formatFeatures(features: readonly ProbeFeature[]): readonly string[] {
  const nameWidth = Math.max(0, ...features.map(({ name }) => name.length));
  return features.flatMap((feature) => formatFeature(feature, nameWidth));
}

export function formatProbe(report: ProbeReport, version: string): string {
  const container = report.container === undefined ? '' : `, in a container: ${report.container}`;
  return [
    `ringbolt ${version}, Node ${report.node}, Linux ${report.kernel} ${report.arch}${container}`,
    ...(report.path === undefined ? [] : [`path: ${printable(report.path)}`]),
    '',
    ...formatFeatures(report.features),
    '',
    ...wrap(summary(report), WIDTH),
    '',
  ].join('\n');
}

function formatFeature(feature: ProbeFeature, nameWidth: number): readonly string[] {
  const { name, detail, why, remedy } = feature;
  const indent = ' '.repeat(nameWidth + 4);
  const room = Math.max(40, WIDTH - indent.length);
  const found = [detail, why].filter((part) => part !== '').join(': ');
  const lines = wrap(printable(found), room);
  const advice = remedy === undefined ? [] : wrap(printable(remedy), room - 2);
  return [
    `${MARKS[mark(feature)]} ${name.padEnd(nameWidth)}  ${lines[0]!}`.trimEnd(),
    ...lines.slice(1).map((line) => indent + line),
    ...advice.map((line, index) => `${indent}${index === 0 ? '→ ' : '  '}${line}`),
  ];
}

function mark({ available, degraded }: ProbeFeature): keyof typeof MARKS {
  if (!available) return 'no';
  return degraded ? 'degraded' : 'yes';
}

function summary({ ok, features }: ProbeReport): string {
  const missing = features.filter(({ needed, available }) => needed && !available);
  if (!ok) {
    const names = missing.map(({ name }) => name).join(', ');
    return `ringbolt cannot work like this: ${names}.`;
  }
  const less = features.filter((feature) => mark(feature) !== 'yes').length;
  return less === 0
    ? 'Everything is as it should be.'
    : `Everything that is needed is there; ${less} could be better.`;
}
