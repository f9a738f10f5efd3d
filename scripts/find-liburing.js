'use strict';
// Prints the linker flag for liburing, or nothing where the io_uring backend cannot be built; the
// reason goes to stderr. Read by binding.gyp and CMakeLists.txt, so that both builds agree. Part of
// the npm package: a source install runs it, hence plain CommonJS without dependencies.
//
// The compiler is asked, not the file system: it alone knows its sysroot and multiarch directories.
// RINGBOLT_WITHOUT_LIBURING=1 leaves the backend out on purpose.

const { spawnSync } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

// The oldest liburing with all of this is 2.3; with an older one the backend would not compile.
const PROBE = `
#include <liburing.h>
extern "C" int probe() {
  io_uring ring{};
  unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  return io_uring_queue_init(8, &ring, flags) + io_uring_register_ring_fd(&ring) +
         io_uring_submit_and_get_events(&ring);
}
`;

// Static first: a prebuilt addon must not need the library on the user's machine. Some
// distributions ship no static library; for a build on the spot the shared one will do.
const FLAGS = ['-l:liburing.a', '-luring'];

const [compiler, ...compilerArgs] = (process.env.CXX || 'g++').trim().split(/\s+/);

function compile(args, input) {
  return spawnSync(compiler, [...compilerArgs, ...args], { encoding: 'utf8', input });
}

// That a library is there does not mean that an addon can be linked with it: an archive that was not
// compiled as position-independent code cannot go into a shared object.
function canLink(flag, object, output) {
  const args = ['-shared', '-Wl,--no-undefined', '-Wl,--exclude-libs,ALL', object, flag];
  return compile([...args, '-o', output]).status === 0;
}

function probe(folder) {
  const object = path.join(folder, 'probe.o');
  const compiled = compile(['-std=c++20', '-fPIC', '-c', '-x', 'c++', '-', '-o', object], PROBE);
  if (compiled.error) return { reason: `${compiler}: ${compiled.error.message}` };
  if (compiled.status !== 0) {
    return { reason: 'liburing.h is missing or older than 2.3 (liburing-dev, liburing-devel)' };
  }
  const flag = FLAGS.find((each) => canLink(each, object, path.join(folder, 'probe.so')));
  if (flag) return { flag };
  return {
    reason: 'no liburing.a or liburing.so was found that a shared object can be linked with',
  };
}

function find() {
  if (process.env.RINGBOLT_WITHOUT_LIBURING) return { reason: 'RINGBOLT_WITHOUT_LIBURING is set' };
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ringbolt-liburing-'));
  try {
    return probe(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const { flag, reason } = find();
if (reason) console.error(`ringbolt: building without the io_uring backend: ${reason}`);
console.log(flag ?? '');
