// Prints, as JSON, what the level is and the checksums of fixed data in many lengths, from functions and hashers.
'use strict';

const [packagePath] = process.argv.slice(2);
const { checksum } = require(packagePath);

const data = Buffer.alloc(70_000);
for (let i = 0, x = 1; i < data.length; i++) {
  x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
  data[i] = x >>> 24;
}

let xxh3 = true;
try {
  checksum.xxh3(data);
} catch (error) {
  if (error.code !== 'ERR_RINGBOLT_UNSUPPORTED') throw error;
  xxh3 = false;
}

const sums = [];
for (let bytes = 0; bytes < data.length; bytes += bytes < 1100 ? 1 : 977) {
  const part = data.subarray(bytes % 61, bytes);
  const hashers = [checksum.createCrc32c(bytes), checksum.createCrc64nvme(BigInt(bytes))];
  if (xxh3) hashers.push(checksum.createXxh3(BigInt(bytes)));
  const split = bytes % 300;
  for (const hasher of hashers) hasher.update(part.subarray(0, split)).update(part.subarray(split));
  sums.push(
    [checksum.crc32c(part), checksum.crc64nvme(part), xxh3 && checksum.xxh3(part)],
    hashers.map((hasher) => hasher.digest()),
  );
}
process.stdout.write(JSON.stringify({ level: checksum.level(), sums: sums.flat().map(String) }));
