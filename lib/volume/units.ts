// Rule 14: the last block of a volume is written as it is, so its length has to be one that the data's target can write.

import { ringboltError } from '../errors.js';
import type { VolumeShape } from './geometry.js';
import type { VolumeTarget } from './synced-target.js';

/** @throws `ERR_RINGBOLT_UNSUPPORTED` */
export function checkUnits(
  { path, blockSize: unit }: VolumeTarget,
  { blockSize, lastBlockBytes }: VolumeShape,
): void {
  if (blockSize % unit === 0 && lastBlockBytes % unit === 0) return;
  const text = `Blocks of ${blockSize} bytes, the last one of ${lastBlockBytes}, cannot be written to '${path}' in units of ${unit}`;
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', `${text}: try direct: false`, { path });
}
