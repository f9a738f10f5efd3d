// What the checksum functions and hashers share: the way to native code, and what is wrong with data that it refused.
//
// Seeds and results travel through a few bytes of memory (native/node/checksum_functions.cc says why): the seed is put
// there, native code called, the result taken from there. Nothing may come in between, so whatever can fail or call
// somebody else's code has to be done before.

import { haveXxh3, NativeChecksum } from '../native.js';
import { ringboltError } from '../errors.js';
import { invalidType, invalidValue } from '../validate.js';

/** Seed and result of a CRC-32C; the second CRC of a combination. */
export const block32 = new Uint32Array(NativeChecksum.block);
export const SECOND32 = 2;

/** Seed and result of the others. */
export const block64 = new BigUint64Array(NativeChecksum.block);
export const SECOND64 = 1;

/** @throws `ERR_RINGBOLT_UNSUPPORTED` */
export function checkXxh3(): void {
  if (haveXxh3) return;
  throw ringboltError(
    'ERR_RINGBOLT_UNSUPPORTED',
    'No XXH3: ringbolt was built without xxHash (libxxhash-dev)',
  );
}

/** In the state of an XXH3 that comes in parts: if it is 0, nothing else in there counts but the seed. */
export const STATE_BYTES_TOTAL = 0;
const STATE_SEED = 1;
const STATE_WORDS = NativeChecksum.xxh3StateBytes / 8;

/** Requires XXH3, as does what follows. */
export function newXxh3State(seed: bigint): BigUint64Array {
  const state = new BigUint64Array(STATE_WORDS);
  state[STATE_SEED] = seed;
  return state;
}

const nativeDigest = NativeChecksum.xxh3Digest;

export function digestXxh3(state: BigUint64Array): bigint {
  nativeDigest!(state);
  return block64[0]!;
}

// As they were when this was loaded: what somebody replaces later is not asked.
type Method = (this: unknown, ...args: readonly unknown[]) => unknown;
const { isView } = ArrayBuffer as { isView: (value: unknown) => value is ArrayBufferView };
const { apply } = Reflect as {
  apply: (method: Method, self: unknown, args: readonly unknown[]) => unknown;
};
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const { value: elementAt } = Object.getOwnPropertyDescriptor(typedArray, 'at') as { value: Method };
const { get: typeTag } = Object.getOwnPropertyDescriptor(typedArray, Symbol.toStringTag) as {
  get: Method;
};
const { get: dataViewBytes } = Object.getOwnPropertyDescriptor(
  DataView.prototype,
  'byteLength',
) as { get: Method };

/** The buffer was detached, or became too small for the view. */
function isGone(view: ArrayBufferView): boolean {
  const isTypedArray = apply(typeTag, view, []) !== undefined;
  try {
    // JavaScript has no question for this, but both of these refuse such a view.
    if (isTypedArray) apply(elementAt, view, [0]);
    else apply(dataViewBytes, view, []);
    return false;
  } catch {
    return true;
  }
}

/**
 * To be called when native code found nothing to hash. Returns if that is because the data is empty.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
 */
export function checkEmpty(data: unknown): void {
  if (!isView(data)) throw invalidType('data', 'a Buffer, TypedArray or DataView', data);
  // Not as empty: a checksum of nothing would pass for one of what had been there.
  if (isGone(data)) {
    const kind = (apply(typeTag, data, []) as string | undefined) ?? 'DataView';
    throw invalidValue('data', 'is a view of memory that was detached or resized', kind);
  }
}
