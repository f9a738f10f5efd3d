// Calls the addon's checksum functions with views of any place and size in exactly as much memory, and with any bytes for a
// state. Ends well if it ends; a sanitizer sees what was read or written beside the memory. Arguments: the package, a seed, rounds.
'use strict';

const path = require('node:path');

const [packagePath, seed, rounds] = process.argv.slice(2);
const { NativeChecksum } = require(path.join(path.dirname(packagePath), 'native.js'));
const { crc32c, crc64nvme, xxh3, xxh3Update, xxh3Digest, xxh3StateBytes } = NativeChecksum;

let random = Number(seed);
function below(limit) {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) % limit;
}

const TYPES = [Uint8Array, Int16Array, Float32Array, BigInt64Array];

/** At the very end of its memory, or at the very beginning. */
function view(bytes) {
  const type = TYPES[below(TYPES.length)];
  const unit = type.BYTES_PER_ELEMENT;
  const length = Math.floor(bytes / unit);
  const lead = below(4) * unit;
  const memory = new ArrayBuffer(lead + length * unit);
  new Uint8Array(memory).fill(below(256));
  return below(5) === 0 ? new DataView(memory, lead) : new type(memory, lead, length);
}

function forged() {
  const state = new Uint8Array(xxh3StateBytes);
  // Counts that are nearly right, as often as those that are not at all: they are the words after 80 bytes.
  for (let i = 0; i < 88; i++) state[i] = below(2) === 0 ? 0 : below(256);
  if (below(2) === 0) new Uint32Array(state.buffer)[20] = below(300);
  return state;
}

for (let round = 0; round < Number(rounds); round++) {
  const data = view(below(2 ** below(13)));
  crc32c(data);
  crc64nvme(data);
  if (xxh3 === undefined) continue;
  xxh3(data);
  const state = forged();
  xxh3Update(state, data);
  xxh3Digest(state);
  xxh3Update(state, state);
  xxh3Digest(state);
}
