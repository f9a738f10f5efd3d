// What may go wrong with the checksums of an operation, apart from the operation itself.

import { ringboltError } from '../errors.js';
import { trueLength } from '../memory/intrinsics.js';
import { invalidValue } from '../validate.js';
import type { ChecksumPlan, Operation } from './operation.js';

/** Mismatches that an error names, at most. */
const MAX_NAMED = 8;

/** An array of the user's is not what it was. */
export function goneError({ out, expected, mismatches, blocks }: ChecksumPlan): Error {
  const arrays = { out, expected, mismatches };
  const least = { out: blocks, expected: blocks, mismatches: Math.ceil(blocks / 32) };
  const gone = Object.entries(arrays).find(
    ([name, array]) => array !== null && trueLength(array) < least[name as keyof typeof least],
  );
  const [name, array] = gone ?? ['out', out];
  const reason = 'was detached or resized while it was in an operation';
  return invalidValue(`options.checksum.${name}`, reason, array);
}

/** Blocks that were to be written are not what was expected: those of `op`, whose mismatches are known. */
export function corruptError(
  { mismatches }: ChecksumPlan,
  {
    valueIndex,
    file,
    offset,
    length,
  }: Pick<Operation, 'valueIndex' | 'file' | 'offset' | 'length'>,
  blocks: number,
): Error {
  const wrong: number[] = [];
  let count = 0;
  for (let i = valueIndex; i < valueIndex + blocks; i++) {
    if (((mismatches?.[i >>> 5] ?? 0) & (1 << (i % 32))) === 0) continue;
    if (wrong.length < MAX_NAMED) wrong.push(i);
    count++;
  }
  const more = count > wrong.length ? ', ...' : '';
  return ringboltError(
    'ERR_RINGBOLT_CORRUPT',
    `${count} of ${blocks} blocks to be written do not have the expected checksums; ` +
      `indices in 'expected': ${wrong.join(', ')}${more}`,
    { path: file?.path, offset, length },
  );
}

/** A lease that was not the same any more when it was written. */
export function changedError({
  file,
  offset,
  length,
}: Pick<Operation, 'file' | 'offset' | 'length'>): Error {
  const details = { path: file?.path, offset, length };
  const text = `The lease was changed while it was written to '${file?.path ?? ''}'`;
  return ringboltError('ERR_RINGBOLT_CORRUPT', text, details);
}

/** Blocks of a transfer of `length` bytes that were not read in one piece with its beginning count as mismatches. */
export function markMissing(
  { plan, valueIndex }: { readonly plan: ChecksumPlan; readonly valueIndex: number },
  bytes: number,
  length: number,
): void {
  const { mismatches, blockSize } = plan;
  if (mismatches === null) return;
  const end = valueIndex + Math.ceil(length / blockSize);
  for (let i = valueIndex + Math.ceil(bytes / blockSize); i < end; i++) {
    mismatches[i >>> 5]! |= 1 << (i % 32);
  }
}
