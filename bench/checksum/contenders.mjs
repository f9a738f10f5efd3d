// Who computes checksums: ringbolt first, then Node and packages from npm, each by its cheapest way from a Buffer to a
// number. Packages are looked for where `require` looks.

/** A string of hexadecimal digits, or a Buffer of the bytes, highest first: what some give for a number. */
const fromHex = (hex) => BigInt(`0x${hex}`);
const fromBytes = (bytes) => fromHex(Buffer.from(bytes).toString('hex'));

/** By algorithm: [package, how to make a call of it]. `convert` is only for comparing results, and is not measured. */
const PACKAGES = {
  crc32c: [
    ['@node-rs/crc32', ({ crc32c }) => ({ call: (data) => crc32c(data) })],
    ['fast-crc32c', ({ calculate }) => ({ call: (data) => calculate(data) })],
    ['sse4_crc32', ({ calculate }) => ({ call: (data) => calculate(data) })],
    ['@aws-crypto/crc32c', ({ crc32c }) => ({ call: (data) => crc32c(data) })],
    ['crc-32/crc32c', ({ buf }) => ({ call: (data) => buf(data), convert: (crc) => crc >>> 0 })],
  ],
  crc64nvme: [
    [
      '@aws-sdk/crc64-nvme',
      ({ Crc64Nvme }) => ({
        call(data) {
          const crc = new Crc64Nvme();
          crc.update(data);
          return crc.digest();
        },
        convert: async (digest) => fromBytes(await digest),
      }),
    ],
  ],
  xxh3: [
    ['@node-rs/xxhash', ({ xxh3 }) => ({ call: (data) => xxh3.xxh64(data) })],
    ['xxhash-addon', ({ XXHash3 }) => ({ call: (data) => XXHash3.hash(data), convert: fromBytes })],
    [
      'hash-wasm',
      async ({ createXXHash3 }) => {
        const hasher = await createXXHash3();
        return { call: (data) => hasher.init().update(data).digest(), convert: fromHex };
      },
    ],
  ],
};

/** ringbolt's own: the function, the same with a seed, a hasher that is used again. */
function own(checksum) {
  const hashers = {
    crc32c: checksum.createCrc32c,
    crc64nvme: checksum.createCrc64nvme,
    xxh3: checksum.createXxh3,
  };
  return (algorithm) => {
    const sum = checksum[algorithm];
    const seed = algorithm === 'crc32c' ? 0x89abcdef : 0x89abcdef01234567n;
    const hasher = hashers[algorithm]();
    return [
      { name: 'ringbolt', call: (data) => sum(data) },
      { name: 'ringbolt, with a seed', call: (data) => sum(data, seed), same: false },
      { name: 'ringbolt, hasher', call: (data) => hasher.reset().update(data).digest() },
    ];
  };
}

/** `same: false` in a call: it computes something else, on purpose. */
export async function contenders(checksum, zlib, require) {
  const ofRingbolt = own(checksum);
  const missing = [];
  const tables = [];
  for (const [algorithm, packages] of Object.entries(PACKAGES)) {
    const calls = [];
    try {
      calls.push(...ofRingbolt(algorithm));
    } catch (error) {
      missing.push({ name: algorithm, reason: error.message });
      continue;
    }
    if (algorithm === 'crc32c' && zlib.crc32) {
      calls.push({
        name: 'zlib.crc32 (another polynomial)',
        call: (data) => zlib.crc32(data),
        same: false,
      });
    } else if (algorithm === 'crc32c') {
      missing.push({ name: 'zlib.crc32', reason: 'not in this Node (20.15, 22.2)' });
    }
    for (const [name, make] of packages) {
      try {
        calls.push({ name, ...(await make(require(name))) });
      } catch (error) {
        missing.push({ name, reason: error.message.split('\n')[0] });
      }
    }
    tables.push({ algorithm, calls });
  }
  return { tables, missing };
}
