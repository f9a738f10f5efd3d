// Shows which liburing a build takes: one that an addon can really be linked with, and otherwise none, with the reason.

import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/temp-folder.js';

const script = path.join(import.meta.dirname, '..', '..', 'scripts', 'find-liburing.js');

const FUNCTIONS = [
  'io_uring_queue_init',
  'io_uring_register_ring_fd',
  'io_uring_submit_and_get_events',
];

const HEADER = `
#pragma once
struct io_uring { int fd; };
enum { IORING_SETUP_SINGLE_ISSUER = 1, IORING_SETUP_DEFER_TASKRUN = 2 };
extern "C" {
int io_uring_queue_init(unsigned, io_uring*, unsigned);
int io_uring_register_ring_fd(io_uring*);
int io_uring_submit_and_get_events(io_uring*);
}
`;

/** A folder with liburing.h and a liburing.a that has these functions. */
function library(functions: readonly string[], ...flags: string[]): string {
  const folder = tempFolder();
  const file = (name: string) => path.join(folder, name);
  writeFileSync(file('liburing.h'), HEADER);
  // Code that is not position-independent holds the table's address as a number of 32 bits.
  const source = functions.map(
    (name) => `int ${name}_table[8]; int ${name}(unsigned n) { return ${name}_table[n]; }`,
  );
  writeFileSync(file('uring.c'), source.join('\n'));
  execFileSync('gcc', [...flags, '-c', file('uring.c'), '-o', file('uring.o')]);
  execFileSync('ar', ['rcs', file('liburing.a'), file('uring.o')]);
  return folder;
}

function find(folder: string, env: Readonly<Record<string, string>> = {}) {
  const CXX = `g++ -I${folder} -L${folder}`; // both before the system's
  const { stdout, stderr, status } = spawnSync(process.execPath, [script], {
    encoding: 'utf8',
    env: { ...process.env, CXX, ...env },
  });
  expect(status).toBe(0);
  return { flag: stdout.trim(), said: stderr };
}

describe('find-liburing', () => {
  beforeAll(() => {
    delete process.env['RINGBOLT_WITHOUT_LIBURING'];
  });

  it('takes a static library that can go into an addon', () => {
    expect(find(library(FUNCTIONS, '-fPIC'))).toEqual({ flag: '-l:liburing.a', said: '' });
  });

  it.each([
    ['a static library that is not position-independent', () => library(FUNCTIONS, '-fno-pic')],
    ['a library that lacks what the header promises', () => library(FUNCTIONS.slice(1), '-fPIC')],
  ])('does not take %s', (_, make) => {
    const { flag, said } = find(make());
    expect(flag).toBe('');
    expect(said).toMatch(/without the io_uring backend: no liburing.a or liburing.so was found/);
  });

  it('says when there is no header, no compiler, or when it was not wanted', () => {
    const folder = library(FUNCTIONS, '-fPIC');
    expect(find(folder, { CXX: 'g++ -nostdinc' }).said).toMatch(/liburing\.h is missing or older/);
    expect(find(folder, { CXX: '/no/compiler' }).said).toMatch(/\/no\/compiler: .*ENOENT/);
    const unwanted = find(folder, { RINGBOLT_WITHOUT_LIBURING: '1' });
    expect(unwanted).toMatchObject({ flag: '' });
    expect(unwanted.said).toMatch(/RINGBOLT_WITHOUT_LIBURING is set/);
  });
});
