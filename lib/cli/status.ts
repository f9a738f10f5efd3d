// `ringbolt status`: what a volume is and how it is, or what protecting a path would take. Reads, and locks nothing.

import { Command } from 'commander';
import { columns } from '../../bench/columns.js';
import { packageVersion } from '../../bench/environment.js';
import { Engine } from '../engine/engine.js';
import { formatBytes } from '../probe/report.js';
import type { InspectedVolume, TagCounts, VolumeInspection } from '../volume/inspect.js';
import { Volume } from '../volume/volume.js';
import { couldNotRun, printJson } from './path-command.js';
import { printable } from './text.js';

/** Raised whenever a field of the JSON changes its meaning. */
const SCHEMA = 1;

interface Flags {
  readonly meta?: string;
  readonly tags?: boolean;
  readonly json?: boolean;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('Say what a volume is and how it is, or what protecting a path would take')
    .argument('<path>', 'the data: a file or block device')
    .option('--meta <file>', 'the sidecar, where it is not <path>.ringbolt')
    .option('--tags', 'read all tags, and count what they say')
    .option('--json', 'print it as JSON')
    .addHelpText('after', HELP)
    .action(async (path: string, flags: Flags) => {
      process.exitCode = await status(path, flags);
    });
}

const HELP = `
Reads only, and may be used while a service has the volume open; what that has in memory is not seen.

Examples:
  ringbolt status /srv/blobs.dat
  ringbolt status /dev/nvme1n1 --meta /var/lib/ringbolt/nvme1n1 --tags --json

Exit codes: 0 looked at, whatever was found; 1 could not be.`;

/** One that takes little: there are a few reads to make. */
const SMALL_ENGINE = { pool: { bytes: 8 * 2 ** 20 }, affinity: 'none' } as const;

async function status(path: string, { meta, tags = false, json = false }: Flags): Promise<number> {
  let found: VolumeInspection;
  try {
    const engine = await Engine.start(SMALL_ENGINE);
    try {
      const place = meta === undefined ? {} : { metaPath: meta };
      found = await Volume.inspect(engine, path, { ...place, tags });
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return couldNotRun(printable(error.message));
  }
  if (json) printJson({ schema: SCHEMA, ringbolt: packageVersion(), ...found });
  else process.stdout.write(formatInspection(found));
  return 0;
}

type Row = readonly [label: string, text: string];

/** For people. */
function formatInspection(found: VolumeInspection): string {
  const { path, metaPath, dataBytes, metaBytes, owners, volume } = found;
  const sidecar = `${printable(metaPath)}, ${formatBytes(metaBytes)}`;
  const head: Row[] = [
    ['data', `${printable(path)}, ${formatBytes(dataBytes)}`],
    ['in use by', owners.length === 0 ? 'nobody that can be seen' : printable(owners.join(', '))],
  ];
  if (volume === undefined) {
    const none: Row[] = [['sidecar', `none; it would be ${sidecar}, with blocks of 4 KiB`]];
    return `${columns([...head, ...none])}\nNot protected: ringbolt protect ${printable(path)}\n`;
  }
  const rows: Row[] = [
    ...head,
    ['sidecar', sidecar],
    ['volume', `${volume.uuid}, ${volume.algorithm}`],
    ['blocks', `${count(volume.blocks)} of ${formatBytes(volume.blockSize)}`],
    ...baseline(volume),
    ['state', state(volume, owners.length > 0)],
    ...(volume.tags === undefined ? [] : tagRows(volume.tags)),
  ];
  return `${columns(rows)}\n`;
}

function baseline({ baselineBlocks, blocks }: InspectedVolume): Row[] {
  if (baselineBlocks === blocks) return [];
  const share = Math.floor((100 * baselineBlocks) / blocks);
  return [['baseline', `${share} %: ${count(baselineBlocks)} blocks have tags`]];
}

function state(volume: InspectedVolume, isOpen: boolean): string {
  const { clean, dirtyRegions, dirtyBytes, changedWhileClosed } = volume;
  const regions = dirtyRegions === 1 ? '1 region' : `${count(dirtyRegions)} regions`;
  const dirty = `${formatBytes(dirtyBytes)} in ${regions}`;
  const parts: string[] = [];
  if (clean) parts.push('closed cleanly');
  else if (isOpen) parts.push(`open, ${dirty} dirty`);
  else parts.push(`not closed: at most ${dirty} will be recovered when it is opened`);
  if (changedWhileClosed) parts.push('the data was changed since');
  if (volume.truncated)
    parts.push(`the data is shorter than the volume, ${formatBytes(volume.size)}`);
  if (volume.superblocksDamaged > 0)
    parts.push(
      `${volume.superblocksDamaged} of 4 superblocks are damaged, and mended when it is opened`,
    );
  return parts.join('; ');
}

const TAG_LABELS: Readonly<Record<keyof TagCounts, string>> = {
  valid: 'valid',
  recalculated: 'taken as found',
  neverWritten: 'never written',
  discarded: 'discarded',
  unknown: 'unknown',
  bad: 'known damaged',
  torn: 'torn',
  tagDamaged: 'tag damaged',
};

function tagRows(tags: TagCounts): Row[] {
  return Object.entries(TAG_LABELS).flatMap(([name, label]): Row[] => {
    const blocks = tags[name as keyof TagCounts];
    return blocks === 0 ? [] : [[label, `${count(blocks)} blocks`]];
  });
}

function count(value: number): string {
  return value.toLocaleString('en');
}
