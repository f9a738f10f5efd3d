// Hands an engine arguments that are not what they seem, or not for long, then looks whether it still works. Whatever
// happens, prints how far it came as JSON. Arguments: the package, a data file, the case.
'use strict';

const { writeSync } = require('node:fs');
const { BLOCK, isNumbered } = require('../../lifecycle/programs/support.cjs');

const [packagePath, dataFile, name] = process.argv.slice(2);
const { Engine } = require(packagePath);

/** What bystanders' memory is filled with: no block of the file is. */
const BYSTANDER = 0x5a;
const POOL = { bytes: 2 ** 20, classes: [BLOCK, 4 * BLOCK] };

/** Returns `first` the first time it is called, and then what `then` returns. */
function onceThen(first, then) {
  let calls = 0;
  return () => (calls++ === 0 ? first : then());
}

/** Returns `value` always, and calls `first` the first time. */
function onceThenSame(value, first) {
  let calls = 0;
  return () => {
    if (calls++ === 0) first();
    return value;
  };
}

const fail = () => {
  throw new Error('as asked');
};

/** An array whose iterator yields other elements than it has. */
function withIterator(elements, iterated) {
  return Object.assign([...elements], { [Symbol.iterator]: () => iterated[Symbol.iterator]() });
}

/** An array whose length is `lengths` one after the other, then the last of them. */
function withLengths(elements, lengths, onElement = () => {}) {
  let looks = 0;
  return new Proxy(elements, {
    get(target, key) {
      if (key === 'length') return lengths[Math.min(looks++, lengths.length - 1)];
      if (typeof key === 'string') onElement();
      return key in target ? target[key] : typeof key === 'string' ? target[0] : undefined;
    },
  });
}

/** A good transfer, with getters in place of what is given. */
function transfer(lease, getters = {}) {
  const good = { offset: 0, buffer: lease };
  for (const [key, get] of Object.entries(getters)) Object.defineProperty(good, key, { get });
  return good;
}

/** Its slab is somebody else's by now. */
function released(tools) {
  const lease = tools.lease();
  lease.release();
  tools.bystander();
  return lease;
}

/** A getter that gives a lease's slab to somebody else. */
function releasing(victim, tools) {
  return onceThenSame(0, () => {
    victim.release();
    tools.bystander();
  });
}

function inFlight(tools) {
  const lease = tools.lease();
  void tools.file.read(0, lease);
  return lease;
}

/** Batches. `bad` is an offset or a buffer that is refused where it is seen. */
const BAD_OFFSETS = {
  'a symbol': () => Symbol('offset'),
  'a bigint': () => 1n,
  'not a number': () => NaN,
  'a string': () => '0',
  'an object that throws': () => ({ valueOf: fail }),
  'a misaligned number': () => 1,
  'a negative number': () => -BLOCK,
};
const BAD_BUFFERS = {
  'a released lease': released,
  'a lease in flight': inFlight,
  'a lease of another engine': (tools) => tools.otherLease,
  'no buffer': () => undefined,
  'an empty array': () => new Uint8Array(0),
  'a misaligned array': () => new Uint8Array(1),
};

const CASES = {};

for (const [what, bad] of Object.entries(BAD_OFFSETS)) {
  CASES[`an offset that becomes ${what}`] = ({ file, lease }) =>
    file.readBatch([transfer(lease(), { offset: onceThen(0, bad) }), transfer(lease())]);
  CASES[`an array that does not iterate over ${what} for an offset`] = ({ file, lease }) =>
    file.readBatch(withIterator([{ offset: bad(), buffer: lease() }], [transfer(lease())]));
}
for (const [what, bad] of Object.entries(BAD_BUFFERS)) {
  CASES[`a buffer that becomes ${what}`] = (tools) => {
    const [good, worse] = [tools.lease(), bad(tools)];
    const hostile = transfer(good, { buffer: onceThen(good, () => worse) });
    return tools.file.readBatch([hostile, transfer(tools.lease())]);
  };
  CASES[`an array that does not iterate over ${what}`] = (tools) =>
    tools.file.readBatch(withIterator([{ offset: 0, buffer: bad(tools) }], []));
}

Object.assign(CASES, {
  'two buffers that become the same lease': ({ file, lease }) => {
    const [one, two, same] = [lease(), lease(), lease()];
    return file.readBatch(
      [one, two].map((buffer) => transfer(buffer, { buffer: onceThen(buffer, () => same) })),
    );
  },
  'an offset that throws the second time': ({ file, lease }) =>
    file.readBatch([transfer(lease()), transfer(lease(), { offset: onceThen(0, fail) })]),
  'an element that throws the second time': ({ file, lease }) => {
    const [first, second] = [transfer(lease()), transfer(lease())];
    return file.readBatch(
      Object.defineProperty([first], 1, { enumerable: true, get: onceThen(second, fail) }),
    );
  },
  'an array that grows while it is looked at': ({ file, lease }) => {
    const batch = [];
    const grow = () => {
      if (batch.length < 100) batch.push({ offset: 1, buffer: null });
      return 0;
    };
    batch.push(transfer(lease(), { offset: grow }), transfer(lease()));
    return file.readBatch(batch);
  },
  'an array that is emptied while it is looked at': ({ file, lease }) => {
    const batch = [];
    const empty = () => {
      batch.length = 0;
      return 0;
    };
    batch.push(transfer(lease(), { offset: empty }), transfer(lease()), transfer(lease()));
    return file.readBatch(batch);
  },
  'an array that grows after it was looked at': ({ file, lease }) =>
    file.readBatch(withLengths([transfer(lease())], [1, 1, 5])),
  'an array that shrinks after it was looked at': ({ file, lease }) =>
    file.readBatch(withLengths([transfer(lease()), transfer(lease())], [2, 2, 2, 2, 1])),
  'a length that is no number': ({ file, lease }) =>
    file.readBatch(withLengths([transfer(lease())], [Symbol('length')])),
  'a length that is negative': ({ file, lease }) =>
    file.readBatch(withLengths([transfer(lease())], [-1])),
  'a length that is fractional': ({ file, lease }) =>
    file.readBatch(withLengths([transfer(lease())], [1.5])),
  'a length that is infinite': ({ file, lease }) => {
    let looks = 0;
    const stop = () => {
      if (++looks > 1e6) throw new Error('looked at a million elements');
    };
    const batch = withLengths([{ offset: 0, buffer: new Uint8Array(BLOCK) }], [Infinity], stop);
    return file.readBatch(batch).catch((error) => {
      lease();
      if (looks > 1e6) process.exit(7); // it would have gone on for ever
      throw error;
    });
  },

  'an offset that closes the file': ({ file, lease }) =>
    file.readBatch([
      transfer(lease(), { offset: onceThen(0, () => (void file.close(), 0)) }),
      transfer(lease()),
    ]),
  'an offset that closes the engine at first': ({ engine, file, lease }) =>
    file.readBatch([transfer(lease(), { offset: () => (void engine.close(), 0) })]),
  'an offset that releases its lease': (tools) => {
    const victim = tools.lease();
    return tools.file.readBatch([transfer(victim, { offset: releasing(victim, tools) })]);
  },
  'an offset that releases the lease of another transfer': (tools) => {
    const victim = tools.lease();
    const hostile = transfer(tools.lease(), { offset: releasing(victim, tools) });
    return tools.file.readBatch([transfer(victim), hostile]);
  },
  'an offset that reads into the lease of another transfer': ({ file, lease }) => {
    const victim = lease();
    const read = () => (file.read(0, victim).catch(() => {}), 0);
    return file.readBatch([transfer(victim), transfer(lease(), { offset: read })]);
  },
  'an offset that fills the queue': ({ engine, file, lease }) => {
    const fill = () => (engine.noopBatch(engine.info.depth + 16).catch(() => {}), 0);
    return file.readBatch([transfer(lease(), { offset: fill }), transfer(lease())]);
  },

  'a class that changes': ({ file, lease }) =>
    file
      .read(0, lease(), {
        get ioClass() {
          return this.looks++ ? 'none' : 'background';
        },
        looks: 0,
      })
      .catch((error) => {
        if (error.code !== 'ERR_INVALID_ARG_VALUE') throw error;
      }),
});

/** Arrays that are no longer themselves, or never were. */
function shapes() {
  const array = () => new Uint8Array(BLOCK);
  const own = (properties) => Object.defineProperties(array(), properties);
  class ThatThrows extends Uint8Array {
    set() {
      fail();
    }
    subarray() {
      fail();
    }
    slice() {
      fail();
    }
  }
  class ThatLies extends Uint8Array {
    static get [Symbol.species]() {
      return class extends Uint8Array {
        constructor() {
          super(8 * BLOCK);
        }
      };
    }
    get length() {
      return 2 * BLOCK;
    }
    get byteLength() {
      return 3 * BLOCK;
    }
  }
  class OfAnotherSpecies extends Uint8Array {
    static get [Symbol.species]() {
      return fail();
    }
  }
  return {
    'a longer length': own({ length: { value: 2 * BLOCK } }),
    'a shorter length': own({ length: { value: BLOCK / 2 } }),
    'a length that is no number': own({ length: { value: 'long' } }),
    'a length that is infinite': own({ length: { value: Infinity } }),
    'a length that grows': own({ length: { get: onceThen(BLOCK, () => 4 * BLOCK) } }),
    'a length that throws': own({ length: { get: onceThen(BLOCK, fail) } }),
    'a buffer that throws': own({ buffer: { get: fail } }),
    'a buffer that is another': own({ buffer: { value: new ArrayBuffer(1) } }),
    'methods that throw': new ThatThrows(BLOCK),
    'getters that lie': new ThatLies(BLOCK),
    'a species that throws': new OfAnotherSpecies(BLOCK),
    'a constructor that is none': own({ constructor: { value: 5 } }),
    'no prototype': Object.setPrototypeOf(array(), null),
    'a subarray() that returns something else': own({ subarray: { value: () => new Array(9e5) } }),
  };
}
for (const shape of Object.keys(shapes())) {
  CASES[`reading into an array with ${shape}, alone and in a batch`] = ({ file }) =>
    Promise.allSettled([
      file.read(0, shapes()[shape]),
      file.readBatch([
        { offset: 0, buffer: new Uint8Array(BLOCK) },
        { offset: 0, buffer: shapes()[shape] },
        { offset: 0, buffer: new Uint8Array(BLOCK) },
      ]),
    ]);
  CASES[`writing an array with ${shape}`] = ({ writable }) => writable.write(0, shapes()[shape]);
}

const progress = {
  settled: false,
  uncaught: [],
  whole: false,
  bystandersIntact: false,
  sharedSlabs: -1,
  closed: false,
};

async function readsWhole(engine) {
  const file = await engine.open(dataFile);
  const lease = engine.pool.acquire(BLOCK);
  for (let block = 0; block < 8; block++) {
    if ((await file.read(block * BLOCK, lease)) !== BLOCK) return false;
    if (!isNumbered(lease.buffer, block)) return false;
  }
  lease.release();
  await file.close();
  return true;
}

/** Leases the whole pool: a slab that is short or has two holders shows. */
function countSharedSlabs(engine) {
  const leases = Array.from({ length: POOL.bytes / BLOCK }, () => engine.pool.acquire(BLOCK));
  leases.forEach((lease, i) => lease.buffer.writeUInt32LE(i));
  const shared = leases.filter((lease, i) => lease.buffer.readUInt32LE() !== i).length;
  for (const lease of leases) lease.release();
  return shared;
}

async function main() {
  process.on('uncaughtException', (error) => progress.uncaught.push(error.message));
  process.on('exit', () => writeSync(1, JSON.stringify(progress)));
  const engine = await Engine.start({ pool: POOL, depth: 16 });
  const other = await Engine.start({ pool: POOL });
  const [leases, bystanders] = [[], []];
  const tools = {
    /** Holds a slab that no operation has any business with. */
    bystander() {
      const lease = engine.pool.acquire(BLOCK);
      lease.buffer.fill(BYSTANDER);
      bystanders.push(lease);
    },
    engine,
    file: await engine.open(dataFile),
    writable: await engine.open(`${dataFile}.copy`, {
      access: 'write',
      create: true,
      size: 2 ** 20,
    }),
    otherLease: other.pool.acquire(BLOCK),
    lease() {
      leases.push(engine.pool.acquire(BLOCK));
      return leases.at(-1);
    },
  };
  tools.bystander(); // in the place that the other engine's lease has over there
  await Promise.allSettled([CASES[name](tools)]);
  progress.settled = true;
  const closing = name.includes('closes the engine');
  progress.whole = closing || (await readsWhole(engine));
  for (const lease of leases) lease[Symbol.dispose]();
  await engine.close();
  const intact = ({ buffer }) => buffer.every((byte) => byte === BYSTANDER);
  progress.bystandersIntact = bystanders.every(intact);
  for (const lease of bystanders) lease.release();
  progress.sharedSlabs = countSharedSlabs(engine);
  await other.close();
  progress.closed = true;
}

if (name === undefined) writeSync(1, JSON.stringify(Object.keys(CASES)));
else void main();
