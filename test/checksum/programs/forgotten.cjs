// Makes and forgets many hashers in a single turn of the event loop. Prints how many bytes more the process holds at its
// end, as JSON.
'use strict';

const [packagePath] = process.argv.slice(2);
const { checksum } = require(packagePath);

const data = Buffer.alloc(1000, 1);

function make(count) {
  const expected = checksum.xxh3(data);
  for (let i = 0; i < count; i++) {
    const hasher = checksum.createXxh3().update(data);
    if (hasher.digest() !== expected) throw new Error('wrong');
  }
  return process.memoryUsage().rss;
}

const before = make(20_000);
process.stdout.write(JSON.stringify({ rss: make(400_000) - before }));
