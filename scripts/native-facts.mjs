// What the native build found on this machine, besides its sources: kept in its stamp, so that set-up
// builds again when that changes, and only then.
//
// A library that was found is not looked for again: that would cost each run of set-up a compilation. One
// that was missing is, which fails at the first line of the probe.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const PROBES = [
  { name: 'liburing', script: 'find-liburing.js', absent: '' },
  { name: 'xxhash', script: 'find-xxhash.js', absent: '0' },
];
/** Environment variables that decide what the probes say. */
const VARIABLES = ['RINGBOLT_WITHOUT_LIBURING', 'RINGBOLT_WITHOUT_XXHASH'];

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {}; // no stamp, or an older one
  }
}

function ask(script) {
  const { stdout } = spawnSync(process.execPath, [join(root, 'scripts', script)], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'], // the build itself will say why
  });
  return stdout.trim();
}

/** The facts as they are now, as text; `stamped`: as they were when the build was made, if it was. */
export function nativeFacts(stamped) {
  const before = parse(stamped);
  const facts = {};
  for (const name of VARIABLES) facts[name] = process.env[name] ? '1' : '';
  const sameWishes = VARIABLES.every((name) => facts[name] === before[name]);
  for (const { name, script, absent } of PROBES) {
    const known = sameWishes && name in before && before[name] !== absent;
    facts[name] = known ? before[name] : ask(script);
  }
  return `${JSON.stringify(facts)}\n`;
}
