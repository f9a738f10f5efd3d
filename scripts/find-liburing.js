'use strict';
// Prints the linker flag for liburing, or nothing where the io_uring backend cannot be built; the
// reason goes to stderr. Read by binding.gyp and CMakeLists.txt, so that both builds agree. Part of
// the npm package: a source install runs it, hence plain CommonJS without dependencies.
//
// The compiler is asked, not the file system: it alone knows its sysroot and multiarch directories.
// RINGBOLT_WITHOUT_LIBURING=1 leaves the backend out on purpose.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

// The oldest liburing with all of this is 2.3; with an older one the backend would not compile.
const PROBE = `
#include <liburing.h>
int main() {
  io_uring ring{};
  unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  return io_uring_queue_init(8, &ring, flags) + io_uring_register_ring_fd(&ring) +
         io_uring_submit_and_get_events(&ring);
}
`;

const [compiler, ...compilerArgs] = (process.env.CXX || 'g++').trim().split(/\s+/);

function compile(args, input) {
  return spawnSync(compiler, [...compilerArgs, ...args], { encoding: 'utf8', input });
}

// The compiler echoes a name that it does not find, and answers with a path when it does.
function hasLibrary(name) {
  const { status, stdout } = compile([`-print-file-name=${name}`]);
  return status === 0 && path.isAbsolute(stdout.trim());
}

function find() {
  if (process.env.RINGBOLT_WITHOUT_LIBURING) return { reason: 'RINGBOLT_WITHOUT_LIBURING is set' };
  const probe = compile(['-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], PROBE);
  if (probe.error) return { reason: `${compiler}: ${probe.error.message}` };
  if (probe.status !== 0) {
    return { reason: 'liburing.h is missing or older than 2.3 (liburing-dev, liburing-devel)' };
  }
  // Static first: a prebuilt addon must not need the library on the user's machine.
  if (hasLibrary('liburing.a')) return { flag: '-l:liburing.a' };
  // Some distributions ship no static library; for a build on the spot the shared one will do.
  if (hasLibrary('liburing.so')) return { flag: '-luring' };
  return { reason: 'neither liburing.a nor liburing.so was found' };
}

const { flag, reason } = find();
if (reason) console.error(`ringbolt: building without the io_uring backend: ${reason}`);
console.log(flag ?? '');
