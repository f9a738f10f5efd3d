'use strict';
// Prints 1 where the xxHash header can be used and 0 where XXH3 has to be left out; the reason goes
// to stderr. Read by binding.gyp and CMakeLists.txt, so that both builds agree. Part of the npm
// package: a source install runs it, hence plain CommonJS without dependencies.
//
// The compiler is asked, not the file system: it alone knows its sysroot and its include path.
// RINGBOLT_WITHOUT_XXHASH=1 leaves XXH3 out on purpose.

const { spawnSync } = require('node:child_process');

// XXH3's results are final since 0.8.0.
const PROBE = `
#define XXH_INLINE_ALL
#include <xxhash.h>
static_assert(XXH_VERSION_NUMBER >= 800);
`;

const [compiler, ...compilerArgs] = (process.env.CXX || 'g++').trim().split(/\s+/);

function missing() {
  if (process.env.RINGBOLT_WITHOUT_XXHASH) return 'RINGBOLT_WITHOUT_XXHASH is set';
  const args = [...compilerArgs, '-std=c++20', '-fsyntax-only', '-x', 'c++', '-'];
  const probe = spawnSync(compiler, args, { encoding: 'utf8', input: PROBE });
  if (probe.error) return `${compiler}: ${probe.error.message}`;
  if (probe.status === 0) return undefined;
  return 'xxhash.h is missing or older than 0.8.0 (libxxhash-dev, xxhash-devel)';
}

const reason = missing();
if (reason) console.error(`ringbolt: building without XXH3: ${reason}`);
console.log(reason ? 0 : 1);
