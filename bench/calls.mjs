// What a call costs, in CPU time of this process: what others do on the machine is not in it.
import process from 'node:process';

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** A loop of its own for each contender: shared, it would be compiled for all of them and fast for none. */
export function makeLoop(call, data) {
  const loop = new Function(
    'call',
    'data',
    'count',
    'for (; count > 1; count--) call(data); return call(data);',
  );
  return (count) => loop(call, data, count);
}

function cpuNs() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function nsPerCall(loop, count) {
  const before = cpuNs();
  loop(count);
  return (cpuNs() - before) / count;
}

/** How many calls take about as long as asked for. Compiles the loop on the way. */
function calibrate(loop, milliseconds) {
  let count = 1;
  for (;;) {
    const ns = nsPerCall(loop, count) * count;
    if (ns >= (milliseconds * 1e6) / 2)
      return Math.max(1, Math.round((count * milliseconds * 1e6) / ns));
    count *= 2;
  }
}

/** Round by round, one contender right after the other, each round beginning with another one; `ns` of each gets one figure a round. */
export function measure(entries, rounds, milliseconds) {
  for (const entry of entries) entry.count = calibrate(entry.loop, milliseconds);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[(i + round) % entries.length];
      entry.ns.push(nsPerCall(entry.loop, entry.count));
    }
  }
}
