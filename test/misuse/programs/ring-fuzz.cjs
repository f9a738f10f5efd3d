// Writes garbage into a queue's rings, as anybody who gets hold of the addon can, and kicks it off. Every slot must come back
// once, whatever was in it. Prints how many went and came. Arguments: the package, a data file, a seed, how many rounds.
'use strict';

const path = require('node:path');
const { setImmediate } = require('node:timers/promises');

const [packagePath, dataFile, seed, rounds] = process.argv.slice(2);
const { LAYOUT, NativeEngine } = require(path.join(path.dirname(packagePath), 'native.js'));

let state = Number(seed);
/** A whole number from 0 to `below` - 1: xorshift32. */
function random(below) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}
const oneOf = (...choices) => choices[random(choices.length)];

const OPTIONS = {
  queueCpus: [[]],
  depth: 32,
  maxFiles: 4,
  poolParts: [{ node: -1, bytes: 2 ** 20 }],
  largeBytes: 2 ** 22,
  hugePages: 0,
  slabClasses: [4096, 65536],
  backend: 0,
  without: [],
};
const OPEN = { access: 2, create: 0, truncate: false, direct: 1, lock: 0, size: 0 };
const INSTALL_FILE = 4;

async function main() {
  let delivered = 0;
  let kicked = 0;
  const engine = new NativeEngine(OPTIONS, (_, count) => (delivered += count));
  await engine.start();
  engine.prepareChecksums(0);
  const { submissions, completions } = engine.queueBlocks(0);
  const capacity = submissions.byteLength / LAYOUT.opSlotBytes;
  const bytes = new Uint8Array(submissions);
  const slots = new DataView(submissions);
  let next = 0;

  function writeSlot(kind, file, { offset = 0, length = 0, unit = 0, unitOffset = 0, rest = 0 }) {
    const at = next * LAYOUT.opSlotBytes;
    next = (next + 1) % capacity;
    bytes.fill(rest, at, at + LAYOUT.opSlotBytes);
    slots.setUint8(at + 4, kind);
    slots.setUint8(at + 5, oneOf(0, 0, 1, 2, 255));
    slots.setUint16(at + 6, oneOf(0, 1, 0x100, 0x203, 0x306, random(2 ** 16), 0xffff), true);
    slots.setUint32(at + 8, file.slot, true);
    slots.setUint32(at + 12, file.generation, true);
    slots.setFloat64(at + 16, offset, true);
    slots.setFloat64(at + 24, oneOf(0, NaN, -1, Infinity, 1e300, 1), true);
    slots.setUint32(at + 32, length, true);
    slots.setUint32(at + 36, unit, true);
    slots.setUint32(at + 40, unitOffset, true);
    if (random(2) === 0) return; // with what is there for checksums
    slots.setUint32(at, oneOf(random(64), random(2 ** 32)), true);
    slots.setUint32(at + 44, oneOf(512, 4096, 1, 0, random(2 ** 32)), true);
    slots.setFloat64(at + 48, oneOf(0, 7, 2 ** 53 - 9, 2 ** 53, -1, NaN, 0.5), true);
    slots.setUint32(at + 60, oneOf(0, random(2 ** 32)), true);
  }

  async function kick(count) {
    if (!engine.kick(0, count)) throw new Error(`${count} slots were refused with all free`);
    kicked += count;
    // Nobody may look at a slot again that was taken, so nobody minds what becomes of it now.
    if (random(4) === 0) bytes.fill(random(256));
    if (random(4) === 0) new Uint8Array(completions).fill(random(256));
    while (delivered < kicked) await setImmediate();
  }

  const files = [];
  for (let i = 0; i < 2; i++) {
    const file = await engine.openFile({ ...OPEN, path: dataFile, direct: i });
    files.push(file);
    bytes.fill(0);
    next = kicked % capacity;
    writeSlot(INSTALL_FILE, file, {});
    await kick(1);
  }
  const take = (slabClass) => {
    const out = new Uint32Array(1);
    engine.takeSlabs(0, slabClass, out);
    return out[0];
  };
  const leased = Array.from({ length: 8 }, (_, i) => take(i % 2));
  let large = engine.takeLarge(2 ** 17);

  const nearlyGood = () =>
    writeSlot(
      oneOf(0, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 7, 8, 255),
      {
        slot: oneOf(files[0].slot, files[0].slot, files[1].slot, 3, 4, 2 ** 32 - 1),
        generation: oneOf(files[0].generation, files[0].generation, 0, 2, 2 ** 32 - 1),
      },
      {
        offset: oneOf(
          0,
          4096,
          512,
          1,
          random(2 ** 20),
          2 ** 40,
          2 ** 53 - 512,
          2 ** 63,
          -1,
          0.5,
          NaN,
        ),
        length: oneOf(4096, 4096, 65536, 512, 1, 0, random(2 ** 17), 2 ** 31, 2 ** 32 - 1),
        unit: oneOf(...leased, ...leased, large, large, random(512), random(2 ** 32), 2 ** 32 - 1),
        unitOffset: oneOf(0, 0, 0, 512, 4096, 1, random(2 ** 17), 2 ** 32 - 1),
        rest: random(256),
      },
    );
  const garbage = () => {
    const at = next * LAYOUT.opSlotBytes;
    next = (next + 1) % capacity;
    for (let i = 0; i < LAYOUT.opSlotBytes; i++) bytes[at + i] = random(256);
  };

  for (let round = 0; round < Number(rounds); round++) {
    const count = oneOf(1, 2, random(capacity) + 1, capacity);
    next = kicked % capacity;
    for (let i = 0; i < count; i++) oneOf(nearlyGood, nearlyGood, nearlyGood, garbage)();
    if (engine.kick(0, capacity + 1)) throw new Error('more were taken than there are');
    // Nor are the values at a place anybody's but the operation's.
    const values = new BigUint64Array(64);
    engine.putExpected(0, random(64), values, 0, random(65));
    engine.takeChecksums(0, random(64), random(65), 0, values, new Uint32Array(2));
    // A slab may be given away under the kernel's feet.
    if (random(8) === 0) {
      engine.giveSlabs(Uint32Array.of(leased.shift()), 1);
      leased.push(take(random(2)));
    }
    if (random(8) === 0) {
      engine.giveLarge(large);
      large = engine.takeLarge(1 + random(2 ** 22));
    }
    if (random(64) === 0) await engine.trimPool();
    await kick(count);
  }
  await Promise.all(files.map((file) => engine.closeFile(file.slot, file.generation)));
  await engine.stop();
  process.stdout.write(JSON.stringify({ kicked, delivered }));
}

void main();
