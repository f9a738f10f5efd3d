// A volume as two paths: its data file or device, and its sidecar. Whether both can be had is found out before either is changed; what
// was made and cannot be used is removed again.
//
// Rule 13: both are locked, exclusively for writing, shared for reading, so that a volume has one writer or many readers.

import { realpath, stat, statfs, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { BlockFile } from '../device/block-file.js';
import { engines, type Engine } from '../engine/engine.js';
import type { OpenOptions } from '../engine/options.js';
import { RingboltError, ringboltError } from '../errors.js';
import { checkPath, invalidType, invalidValue } from '../validate.js';
import type { FileIdentity } from './format/superblock.js';
import type { VolumeShape } from './geometry.js';
import type { ResolvedCreate, VolumePlace } from './options.js';

/** TMPFS_MAGIC, which devtmpfs has as well, and RAMFS_MAGIC. */
const MEMORY_FILE_SYSTEMS = [0x01021994, 0x858458f6];

/** What direct I/O needs at most, of all that is common. */
const DIRECT_UNIT = 4096;

export interface VolumePaths {
  readonly data: string;
  readonly sidecar: string;
  readonly isDevice: boolean;
  /** There is something at `data`. */
  readonly exists: boolean;
}

/** Bytes that are to be allocated for a file, in the folder that it is or will be in. */
interface Need {
  readonly file: string;
  readonly bytes: number;
}

/**
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_RINGBOLT_UNSUPPORTED`
 */
export async function findPaths(
  engine: unknown,
  data: unknown,
  { metaPath }: VolumePlace,
): Promise<VolumePaths> {
  if (!engines.is(engine)) throw invalidType('engine', 'an Engine', engine);
  checkPath('path', data);
  if (metaPath !== undefined) checkPath('options.metaPath', metaPath);
  const found = await stat(data).catch(() => undefined);
  const isDevice = found?.isBlockDevice() === true;
  if (isDevice && metaPath === undefined) {
    const reason = 'must be given for a block device: beside it there is no place for a sidecar';
    throw invalidValue('options.metaPath', reason, metaPath);
  }
  const sidecar = metaPath ?? `${data}.ringbolt`;
  if ((await whereIs(sidecar)) === (await whereIs(data))) {
    throw invalidValue('options.metaPath', "must not be the volume's own path", sidecar);
  }
  await checkKept(sidecar);
  return { data, sidecar, isDevice, exists: found !== undefined };
}

/** Of a file that may not be there yet. */
async function whereIs(file: string): Promise<string> {
  const folder = path.dirname(path.resolve(file));
  return realpath(file).catch(async () =>
    path.join(await realpath(folder).catch(() => folder), path.basename(file)),
  );
}

/** A sidecar that is gone after a reboot, beside data that is not, would be worse than none. */
async function checkKept(sidecar: string): Promise<void> {
  const folder = path.dirname(path.resolve(sidecar));
  const found = await statfs(sidecar).catch(() => statfs(folder).catch(() => undefined));
  if (found === undefined || !MEMORY_FILE_SYSTEMS.includes(found.type)) return;
  const text = `A sidecar belongs on a disk; '${sidecar}' is in memory`;
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text, { path: sidecar });
}

/** @throws `ENOSPC`, with what is needed and what there is, before anything is allocated */
export async function checkSpace(needs: readonly Need[]): Promise<void> {
  const wanted = new Map<number, { bytes: number; file: string; free: number }>();
  for (const { file, bytes } of needs) {
    if (bytes === 0) continue;
    const folder = path.dirname(path.resolve(file));
    const [{ dev }, { bavail, bsize }] = await Promise.all([stat(folder), statfs(folder)]).catch(
      (error: unknown) => {
        throw noFolderError(file, error);
      },
    );
    const before = wanted.get(dev)?.bytes ?? 0;
    wanted.set(dev, { bytes: before + bytes, file, free: bavail * bsize });
  }
  for (const { bytes, file, free } of wanted.values()) {
    if (bytes <= free) continue;
    const text = `ENOSPC: no space left on device, '${file}': ${bytes} bytes are needed, ${free} are free`;
    throw new RingboltError('ENOSPC', text, { path: file });
  }
}

/** Node's, of the folder that `file` was to be made in, as one of that file. */
function noFolderError(file: string, error: unknown): unknown {
  const { code, errno, syscall, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  const text = `${message}: there '${file}' was to be made`;
  return new RingboltError(code, text, { errno, syscall, path: file, cause: error });
}

/** What was opened, and what was made, on the way to a volume. */
export interface Undo {
  readonly opened: BlockFile[];
  readonly made: string[];
}

/** If `run` fails, closes and removes what it noted, whatever comes of that: the first error says more. */
export async function allOrNothing<T>(run: (undo: Undo) => Promise<T>): Promise<T> {
  const undo: Undo = { opened: [], made: [] };
  try {
    return await run(undo);
  } catch (error) {
    await Promise.allSettled(undo.opened.map((file) => file.close()));
    await Promise.allSettled(undo.made.map((file) => unlink(file)));
    throw error;
  }
}

type FileRequest = Omit<OpenOptions, 'lock'> & { readonly access: 'read' | 'read-write' };

/** Rule 13. */
export async function openLocked(
  engine: Engine,
  undo: Undo,
  file: string,
  request: FileRequest,
): Promise<BlockFile> {
  const lock = request.access === 'read' ? 'shared' : 'exclusive';
  const opened = await engine.open(file, { ...request, lock });
  undo.opened.push(opened);
  if (request.create === 'exclusive') undo.made.push(file);
  return opened;
}

/** A file that is there, of blocks as `shapeOf` says. Through the page cache if its last one is ragged: direct I/O knows whole units only. */
export async function openData(
  engine: Engine,
  undo: Undo,
  file: string,
  request: FileRequest,
  shapeOf: (file: BlockFile) => VolumeShape,
): Promise<BlockFile> {
  const opened = await openLocked(engine, undo, file, request);
  const { blockSize, lastBlockBytes } = shapeOf(opened);
  if ([blockSize, lastBlockBytes].every((bytes) => bytes % opened.blockSize === 0)) return opened;
  await opened.close();
  return openLocked(engine, undo, file, { ...request, direct: false });
}

/** A new file of zeros. */
export async function createData(
  engine: Engine,
  undo: Undo,
  file: string,
  { size, sparse, direct }: Pick<ResolvedCreate, 'sparse' | 'direct'> & { readonly size: number },
): Promise<BlockFile> {
  const data = await openLocked(engine, undo, file, {
    access: 'read-write',
    create: 'exclusive',
    direct: size % DIRECT_UNIT === 0 ? direct : false,
    ...(!sparse && { size }),
  });
  if (sparse) {
    await data.writeZeroes(size - data.blockSize, data.blockSize);
    await data.flush();
  }
  return data;
}

/** Rule 12. Of a device only the size says something: its inode is another one after each start of the machine. */
export async function identify(
  { data, isDevice }: VolumePaths,
  file: BlockFile,
): Promise<FileIdentity | undefined> {
  if (isDevice) return { size: file.size, inode: 0n, mtimeNs: 0n };
  const found = await stat(data, { bigint: true }).catch(() => undefined);
  if (found === undefined) return undefined; // removed, or moved, while it was open
  return { size: Number(found.size), inode: found.ino, mtimeNs: found.mtimeNs };
}
