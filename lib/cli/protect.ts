// `ringbolt protect`: makes a volume of a file or device that is there, or goes on with one that was begun. Says first what that takes, and
// can be stopped at any time: the same command goes on.

import { Command, Option } from 'commander';
import { packageVersion } from '../../bench/environment.js';
import { Progress } from '../../bench/progress.js';
import { CHECKSUM_NAMES, type ChecksumName } from '../checksum/names.js';
import { Engine } from '../engine/engine.js';
import { RingboltError } from '../errors.js';
import { formatBytes } from '../probe/report.js';
import type { VolumeInspection } from '../volume/inspect.js';
import { Volume } from '../volume/volume.js';
import { parseBytes } from './arguments.js';
import { couldNotRun, printJson } from './path-command.js';
import { onSignals } from './signals.js';
import { Ticker } from './ticker.js';
import { printable } from './text.js';

const MIB = 2 ** 20;
/** Raised whenever a field of the JSON changes its meaning. */
const SCHEMA = 1;
interface Flags {
  readonly meta?: string;
  readonly blockSize?: number;
  readonly algorithm?: ChecksumName;
  readonly limit?: number;
  readonly json?: boolean;
}

export function protectCommand(): Command {
  return new Command('protect')
    .description('Make a sidecar of checksums for a file or block device that is there')
    .argument('<path>', 'the data, which stays as it is')
    .option('--meta <file>', 'where the sidecar is to be; a block device needs one')
    .option('--block-size <bytes>', 'what has a checksum each: 4K to 64K', parseBytes(4096))
    .addOption(new Option('--algorithm <name>', 'of the checksums').choices(CHECKSUM_NAMES))
    .option('--limit <bytes>', 'read at most so many bytes a second, e.g. 100M', parseBytes(MIB))
    .option('--json', 'print what was done as JSON')
    .addHelpText('after', HELP)
    .action(async (path: string, flags: Flags) => {
      process.exitCode = await protect(path, flags);
    });
}

const HELP = `
Reads all of the data once, and takes it as it is for good. Nobody else may have it open as a volume meanwhile; who writes to it
past the volume makes damage. Interrupted, it keeps what was done, and the same command goes on from there. A service does the
same with Volume.protect(), and may use the volume meanwhile. To end the protection, remove the sidecar.

Examples:
  ringbolt protect /srv/blobs.dat
  ringbolt protect /dev/nvme1n1 --meta /var/lib/ringbolt/nvme1n1 --block-size 16K --limit 200M

Exit codes: 0 protected; 1 could not be; 2 protected, but for blocks that cannot be read; 130 interrupted.`;

interface Done {
  readonly path: string;
  readonly metaPath: string;
  readonly metaBytes: number;
  readonly blocks: number;
  readonly blocksDone: number;
  /** Of those that were read now: without checksums. */
  readonly unreadable: number;
  readonly interrupted: boolean;
}

async function protect(path: string, flags: Flags): Promise<number> {
  const stop = new AbortController();
  let exitCode = 0;
  onSignals((code) => {
    exitCode = code;
    stop.abort();
  });
  try {
    const done = await run(path, flags, stop.signal);
    if (flags.json === true) printJson({ schema: SCHEMA, ringbolt: packageVersion(), ...done });
    else process.stdout.write(`${describe(done)}\n`);
    if (done.interrupted) return exitCode;
    return done.unreadable > 0 ? 2 : 0;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return couldNotRun(printable(error.message));
  }
}

async function run(path: string, flags: Flags, signal: AbortSignal): Promise<Done> {
  const { limit } = flags;
  const engine = await Engine.start({
    pool: { bytes: 16 * 2 ** 20 },
    ...(limit !== undefined && { limits: { total: { bytesPerSecond: limit } } }),
  });
  try {
    const place = flags.meta === undefined ? {} : { metaPath: flags.meta };
    const found = await Volume.inspect(engine, path, place);
    announce(found, flags);
    const volume = await begin(engine, found, flags);
    try {
      return await baseline(volume, signal);
    } finally {
      await volume.close();
    }
  } finally {
    await engine.close();
  }
}

/** Before anything is made. */
function announce({ path, metaPath, dataBytes, volume }: VolumeInspection, flags: Flags): void {
  if (volume !== undefined) {
    const share = Math.floor((100 * volume.baselineBlocks) / volume.blocks);
    if (share < 100) process.stderr.write(`${printable(path)}: goes on from ${share} %\n`);
    return;
  }
  if (dataBytes === 0) return;
  const bytes = Volume.sidecarBytes(dataBytes, flags.blockSize);
  const what = `${printable(path)}, ${formatBytes(dataBytes)}`;
  process.stderr.write(`${what}: the sidecar ${printable(metaPath)} takes ${formatBytes(bytes)}\n`);
}

async function begin(
  engine: Engine,
  { path, metaPath, volume }: VolumeInspection,
  { blockSize, algorithm }: Flags,
): Promise<Volume> {
  if (volume !== undefined) {
    if ((blockSize ?? volume.blockSize) !== volume.blockSize) {
      throw otherwise(path, `with blocks of ${formatBytes(volume.blockSize)}`);
    }
    if ((algorithm ?? volume.algorithm) !== volume.algorithm) {
      throw otherwise(path, `with ${volume.algorithm}`);
    }
    return Volume.open(engine, path, { metaPath, baseline: false });
  }
  return Volume.protect(engine, path, {
    metaPath,
    baseline: false,
    ...(blockSize !== undefined && { blockSize }),
    ...(algorithm !== undefined && { algorithm }),
  });
}

function otherwise(path: string, how: string): Error {
  const text = `'${path}' is protected ${how} already: remove its sidecar to begin anew`;
  return new RingboltError('EEXIST', text, { path });
}

async function baseline(volume: Volume, signal: AbortSignal): Promise<Done> {
  const progress = new Progress();
  const bytes = (blocks: number) => Math.min(blocks * volume.blockSize, volume.size);
  const ticker = new Ticker(progress, bytes(volume.status().baseline.blocksDone), volume.size);
  let interrupted = false;
  try {
    await volume.baseline({
      signal,
      onProgress: ({ blocksDone }) => {
        ticker.tick(bytes(blocksDone));
      },
    });
  } catch (error) {
    interrupted = signal.aborted;
    if (!interrupted) throw error;
  } finally {
    progress.end();
  }
  const { path } = volume;
  const { metaPath, metaBytes, baseline: end } = volume.status();
  const { blocks, blocksDone, unreadable } = end;
  return { path, metaPath, metaBytes, blocks, blocksDone, unreadable, interrupted };
}

function describe(done: Done): string {
  const { path, metaPath, blocks, blocksDone, unreadable, interrupted } = done;
  if (interrupted) {
    const share = Math.floor((100 * blocksDone) / blocks);
    return `Stopped at ${share} %: the same command goes on from there.`;
  }
  const but =
    unreadable === 0 ? '' : `, but for ${unreadable.toLocaleString('en')} that cannot be read`;
  return `${printable(path)} is protected by ${printable(metaPath)}: ${blocks.toLocaleString('en')} blocks${but}.`;
}
