// Reads blocks of 4 KiB without end, 256 at a time, and measures what else the event loop gets done meanwhile: how late timers of 1 ms
// are, how long an echo over a socket takes and a turn of the loop. In windows, one kind after the other, round after round:
// nothing, ringbolt from memory, ringbolt from the disk, and node:fs as the peer. Prints what each window showed.
// Arguments: the package, a file in memory, a file on a disk, how many rounds.
'use strict';

const { promises: fs } = require('node:fs');
const net = require('node:net');
const { BLOCK } = require('../../lifecycle/programs/support.cjs');

const [packagePath, inMemory, onDisk, rounds] = process.argv.slice(2);
const { Engine } = require(packagePath);

const AT_ONCE = 256;
const WINDOW_MS = 150;

/** Chains of reads that go on until they are told to end. */
function load(read) {
  let ending = false;
  let reads = 0;
  const chains = Array.from({ length: AT_ONCE }, async (_, chain) => {
    for (let turn = chain; !ending; turn += 7) {
      await read(chain, turn);
      reads++;
    }
  });
  return {
    reads: () => reads,
    end() {
      ending = true;
      return Promise.all(chains);
    },
  };
}

/** Half of the time passed in durations as long as this or longer: many short ones do not hide a few long ones. */
function halfTime(durations) {
  const sorted = Float64Array.from(durations).sort();
  let left = sorted.reduce((sum, duration) => sum + duration, 0) / 2;
  return sorted.find((duration) => (left -= duration) <= 0);
}

/** What happens beside it, for as long as a window is. */
async function watch(socket) {
  const [turns, timers, echoes] = [new Stopwatch(), new Stopwatch(), new Stopwatch()];
  let over = false;
  const spin = () => {
    turns.lap();
    if (!over) setImmediate(spin);
  };
  const tick = () => {
    timers.lap();
    if (!over) setTimeout(tick, 1);
  };
  const echoed = () => {
    echoes.lap();
    if (!over) socket.write('x');
  };
  socket.on('data', echoed);
  spin();
  tick();
  echoed();
  await new Promise((resolve) => setTimeout(resolve, WINDOW_MS));
  over = true;
  await new Promise((resolve) => socket.once('data', resolve)); // the one that is under way
  socket.off('data', echoed);
  return { turnMs: turns.halfTime(), timerMs: timers.halfTime(), echoMs: echoes.halfTime() };
}

class Stopwatch {
  #last;
  #durations = [];

  lap() {
    const now = performance.now();
    if (this.#last !== undefined) this.#durations.push(now - this.#last);
    this.#last = now;
  }

  halfTime() {
    return halfTime(this.#durations);
  }
}

async function main() {
  const engine = await Engine.start({ depth: 128, pool: { bytes: 8 * 2 ** 20 } });
  const memory = await engine.open(inMemory);
  const disk = await engine.open(onDisk);
  const peer = await fs.open(inMemory);
  const leases = Array.from({ length: AT_ONCE }, () => engine.pool.acquire(BLOCK));
  const buffers = leases.map(() => Buffer.alloc(BLOCK));
  const place = (file, turn) => (turn % (file.size / BLOCK)) * BLOCK;
  const kinds = {
    nothing: undefined,
    memory: (chain, turn) => memory.read(place(memory, turn), leases[chain]),
    disk: (chain, turn) => disk.read(place(disk, turn), leases[chain]),
    peer: (chain, turn) => peer.read(buffers[chain], 0, BLOCK, place(memory, turn)),
  };
  const server = net.createServer((socket) => socket.setNoDelay(true).pipe(socket));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = net.connect(server.address().port, '127.0.0.1').setNoDelay(true);
  await new Promise((resolve) => socket.once('connect', resolve));

  const windows = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
  for (let round = -1; round < Number(rounds); round++) {
    for (const [kind, read] of Object.entries(kinds)) {
      const loaded = read && load(read);
      const begun = performance.now();
      const window = await watch(socket);
      const readsPerSecond = (1000 * (loaded?.reads() ?? 0)) / (performance.now() - begun);
      await loaded?.end();
      if (round >= 0) windows[kind].push({ ...window, readsPerSecond }); // the first is to warm up
    }
  }
  socket.destroy();
  server.close();
  await peer.close();
  await engine.close();
  process.stdout.write(JSON.stringify(windows));
}

void main();
