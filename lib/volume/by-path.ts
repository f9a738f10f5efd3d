// Making, protecting and opening volumes by their paths. All that can be refused is refused before anything is changed, and what a failure
// leaves behind is what was there before.

import type { BlockFile } from '../device/block-file.js';
import type { Engine } from '../engine/engine.js';
import { RingboltError, ringboltError } from '../errors.js';
import { invalidValue } from '../validate.js';
import {
  allOrNothing,
  checkSpace,
  createData,
  findPaths,
  identify,
  openData,
  openLocked,
  type Undo,
  type VolumePaths,
} from './files.js';
import { Geometry, planLayout, shapeOf } from './geometry.js';
import { createVolume, openParts, type OpenedVolume, type OpenVolumeOptions } from './open.js';
import {
  resolveCreate,
  resolveOpen,
  resolveProtect,
  type ResolvedCreate,
  type VolumeCreateOptions,
  type VolumeOpenOptions,
  type VolumeProtectOptions,
} from './options.js';
import { SuperblockStore } from './superblock-store.js';

/**
 * Bytes that the sidecar of so much data takes, all of them allocated when it is made.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function sidecarBytes(dataBytes: number, blockSize: number): number {
  const shape = shapeOf(dataBytes, blockSize);
  return new Geometry(shape, planLayout(shape)).sidecarBytes;
}

/** What only those can do who know where the files are. */
function onPaths(
  paths: VolumePaths,
  file: BlockFile,
): Pick<OpenVolumeOptions, 'identify' | 'checkSpace'> {
  return {
    identify: () => identify(paths, file),
    checkSpace: ({ data, sidecar }) =>
      checkSpace([
        { file: paths.data, bytes: paths.isDevice ? 0 : data },
        { file: paths.sidecar, bytes: sidecar },
      ]),
  };
}

/** A new file, or a device whose contents are lost. */
export async function createByPath(
  engine: Engine,
  path: string,
  options: VolumeCreateOptions,
): Promise<OpenedVolume> {
  const resolved = resolveCreate(options);
  const { blockSize, algorithm, direct, sparse, settings } = resolved;
  const paths = await findPaths(engine, path, options);
  const size = checkSize(paths, resolved);
  if (size !== undefined) {
    await checkSpace([
      { file: paths.data, bytes: sparse ? 0 : size },
      { file: paths.sidecar, bytes: sidecarBytes(size, blockSize) },
    ]);
  }
  return allOrNothing(async (undo) => {
    const data =
      size === undefined
        ? await openForFormat(engine, undo, paths, resolved)
        : await createData(engine, undo, paths.data, { size, sparse, direct });
    const sidecar = await createSidecarFile(engine, undo, paths, data.size, blockSize);
    const zeroed = size !== undefined;
    await createVolume({ data, sidecar, blockSize, algorithm, contents: 'zeros', zeroed });
    return openParts({ ...settings, ...onPaths(paths, data), data, sidecar });
  });
}

/** Undefined for a device, which has its own. */
function checkSize(
  { isDevice, exists, data }: VolumePaths,
  { size, overwrite }: ResolvedCreate,
): number | undefined {
  if (!isDevice) {
    if (exists) {
      const text = `EEXIST: file already exists, '${data}': a volume is made in a new file, or protects one that is there`;
      throw new RingboltError('EEXIST', text, { path: data });
    }
    if (size !== undefined) return size;
    throw invalidValue('options.size', 'must be given for a new file', size);
  }
  if (size !== undefined) {
    throw invalidValue('options.size', 'must be left out for a device, which has its own', size);
  }
  if (overwrite) return undefined;
  const reason = 'must be true for a block device, all of which will be zeroed';
  throw invalidValue('options.overwrite', reason, overwrite);
}

/** A file or device that is there, which stays as it is. */
export async function protectByPath(
  engine: Engine,
  path: string,
  options: VolumeProtectOptions,
): Promise<OpenedVolume> {
  const resolved = resolveProtect(options);
  const { blockSize, algorithm, settings } = resolved;
  const paths = await findPaths(engine, path, options);
  return allOrNothing(async (undo) => {
    const data = await openForFormat(engine, undo, paths, resolved);
    const sidecar = await createSidecarFile(engine, undo, paths, data.size, blockSize);
    await createVolume({ data, sidecar, blockSize, algorithm, contents: 'unknown' });
    return openParts({ ...settings, ...onPaths(paths, data), data, sidecar });
  });
}

function openForFormat(
  engine: Engine,
  undo: Undo,
  { data }: VolumePaths,
  { blockSize, direct }: Pick<ResolvedCreate, 'blockSize' | 'direct'>,
): Promise<BlockFile> {
  return openData(engine, undo, data, { access: 'read-write', direct }, ({ size }) => {
    if (size > 0) return shapeOf(size, blockSize);
    const text = `'${data}' is empty: there is nothing to protect`;
    throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text, { path: data });
  });
}

async function createSidecarFile(
  engine: Engine,
  undo: Undo,
  { sidecar: file }: VolumePaths,
  dataBytes: number,
  blockSize: number,
): Promise<BlockFile> {
  const size = sidecarBytes(dataBytes, blockSize);
  await checkSpace([{ file, bytes: size }]);
  const request = { access: 'read-write', create: 'exclusive', size } as const;
  return openLocked(engine, undo, file, request).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
    const text = `EEXIST: file already exists, '${file}': open the volume that it belongs to, or remove it first`;
    throw new RingboltError('EEXIST', text, { path: file, cause: error });
  });
}

/** One that was made before. */
export async function openByPath(
  engine: Engine,
  path: string,
  options: VolumeOpenOptions,
): Promise<OpenedVolume> {
  const { access, direct, settings } = resolveOpen(options);
  const paths = await findPaths(engine, path, options);
  return allOrNothing(async (undo) => {
    const sidecar = await openSidecar(engine, undo, paths, access);
    const { shape } = (await SuperblockStore.open(sidecar)).current;
    const data = await openData(engine, undo, paths.data, { access, direct }, () => shape);
    return openParts({ ...settings, ...onPaths(paths, data), access, data, sidecar });
  });
}

async function openSidecar(
  engine: Engine,
  undo: Undo,
  { data, sidecar, exists }: VolumePaths,
  access: 'read' | 'read-write',
): Promise<BlockFile> {
  return openLocked(engine, undo, sidecar, { access }).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 'ENOENT' || !exists) throw error;
    const text = `ENOENT: no such file or directory, '${sidecar}': '${data}' has no sidecar there; it is made by protecting it`;
    throw new RingboltError('ENOENT', text, { path: sidecar, cause: error });
  });
}
