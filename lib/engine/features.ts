// Optional features that an environment variable switches off: RINGBOLT_DISABLE=NAME,NAME. For finding
// out whether one of them is to blame, and for tests. `engine.info.queues[].features` says what came of it, and
// `engine.info.memory.features` of the last.

import { invalidValue } from '../validate.js';

/** The event loop's own ring (loop-ring.ts). */
export const LOOP_RING = 'LOOP_RING';

/** ArrayBuffers over native memory (native/node/external_buffer.h). */
export const EXTERNAL_BUFFERS = 'EXTERNAL_BUFFERS';

/** As `engine.info` names them (native/io/uring_backend.cc and aio_backend.cc, but for the last two). */
const FEATURES: readonly string[] = [
  'SUBMIT_ALL',
  'COOP_TASKRUN',
  'SINGLE_ISSUER',
  'DEFER_TASKRUN',
  'REGISTERED_RING',
  'FIXED_FILES',
  'USER_REAP',
  LOOP_RING,
  EXTERNAL_BUFFERS,
];

/**
 * The features to go without; a misspelt one that stayed on would be blamed for nothing.
 *
 * @throws TypeError `ERR_INVALID_ARG_VALUE` where one is none
 */
export function disabledFeatures(): readonly string[] {
  const value = process.env['RINGBOLT_DISABLE'] ?? '';
  const names = value.split(',').filter((name) => name !== '');
  for (const name of names) {
    if (FEATURES.includes(name)) continue;
    throw invalidValue('RINGBOLT_DISABLE', `must name features of ${FEATURES.join(', ')}`, name);
  }
  return names;
}
