// Shows that engine.open refuses what cannot be opened and options that make no sense, each with its code, and that a failed
// open leaves nothing open, made or locked.

import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Engine, RingboltError } from 'ringbolt';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import { packagePath, runProgram } from '../lifecycle/run-program.js';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';
import {
  expectRefused,
  expectStillWorks,
  NOT_INTEGERS,
  NOT_NUMBERS,
  NOT_OBJECTS,
  RANGE,
  rejection,
  rows,
  shown,
  TYPE,
  VALUE,
  wrong,
} from './refusal.js';

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start({ maxFiles: 64, pool: { bytes: 8 * 2 ** 20 } });
});
afterAll(async () => {
  await engine.close();
});

/** Nothing may be opened: what is, is closed and reported by the promise's having resolved. */
async function open(name: unknown, options?: unknown): Promise<string> {
  const file = await engine.open(wrong(name), wrong(options));
  await file.close();
  return file.path;
}

/** How many descriptors of this process lead to `name`. */
function descriptorsOf(name: string): number {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === name;
    } catch {
      return false; // that of this very listing
    }
  }).length;
}

describe('engine.open refuses', () => {
  it.each(
    rows([
      undefined,
      null,
      5,
      true,
      1n,
      Symbol('path'),
      {},
      ['/dev/null'],
      () => '/dev/null',
      Buffer.from('/dev/null'),
      pathToFileURL('/dev/null'),
      Object('/dev/null'),
      { toString: () => '/dev/null' },
    ]),
  )('%s in place of a path', async (_, name) => {
    await expectRefused(() => open(name), { ...TYPE, naming: ['"path"', shown(name)] });
  });

  it.each(['', '\0', 'a\0b', '/dev/null\0'])('%j, which is no path', async (name) => {
    await expectRefused(() => open(name), { ...VALUE, naming: ["'path'"] });
  });

  it.each(rows(NOT_OBJECTS))('%s in place of options', async (_, options) => {
    const refusal = { ...TYPE, naming: ['"options"', shown(options)] };
    await expectRefused(() => open(numberedFile(1), options), refusal);
  });

  it.each([
    ['mode', { mode: 0o600 }],
    ['flags', { flags: 'r+' }],
    ['readonly', { readonly: true }],
    ['Access', { Access: 'read' }],
  ])('the unknown option %s', async (name, options) => {
    const refusal = { ...VALUE, naming: [`options.${name}`, 'access'] };
    await expectRefused(() => open(numberedFile(1), options), refusal);
  });

  describe.each([
    ['access', [null, 'r', 'READ', 'readwrite', '', 0, true, {}, ['read'], Symbol('read')]],
    ['create', [null, 0, 1, 'true', 'Exclusive', '', {}]],
    ['direct', [null, 0, 1, 'true', 'Auto', '', {}]],
    ['lock', [null, true, 0, 'Shared', '', {}]],
  ])('%s:', (name, values) => {
    it.each(rows(values))('%s', async (_, value) => {
      const options = { access: 'read-write', [name]: value };
      const refusal = { ...VALUE, naming: [`options.${name}`] };
      await expectRefused(() => open(numberedFile(1), options), refusal);
    });
  });

  it.each(rows([null, 0, 1, 'true', {}]))('truncate: %s', async (_, truncate) => {
    const name = numberedFile(1);
    const options = { access: 'read-write', truncate };
    const refusal = { ...TYPE, naming: ['options.truncate', shown(truncate)] };
    await expectRefused(() => open(name, options), refusal);
    expect(statSync(name).size).toBe(BLOCK);
  });

  it.each(rows(NOT_NUMBERS))('size: %s', async (_, size) => {
    const options = { access: 'read-write', size };
    const refusal = { ...TYPE, naming: ['options.size', shown(size)] };
    await expectRefused(() => open(numberedFile(1), options), refusal);
  });

  it.each(rows([...NOT_INTEGERS, -1, 2 ** 53]))('size: %s', async (_, size) => {
    const options = { access: 'read-write', size };
    const refusal = { ...RANGE, naming: ['options.size', shown(size)] };
    await expectRefused(() => open(numberedFile(1), options), refusal);
  });

  it.each([
    ['create', { create: true }],
    ['create', { access: 'read', create: 'exclusive' }],
    ['truncate', { truncate: true }],
    ['size', { access: 'read', size: BLOCK }],
    ['lock', { lock: 'exclusive' }],
    ['lock', { access: 'write', lock: 'shared' }],
  ])('the option %s where access does not allow it: %j', async (option, options) => {
    const name = numberedFile(2);
    const refusal = { ...VALUE, naming: [`options.${option}`, 'access'] };
    await expectRefused(() => open(name, options), refusal);
    expect(statSync(name).size).toBe(2 * BLOCK);
  });

  it.each([
    [
      'a path that throws when it is read',
      'options',
      {
        get access() {
          throw new Error('as asked');
        },
      },
    ],
    [
      'a proxy that throws',
      'proxy',
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('as asked');
          },
        },
      ),
    ],
  ])('%s', async (_, __, options) => {
    const error = await rejection(() => open(numberedFile(1), options));
    expect(error).toMatchObject({ message: 'as asked' });
  });
});

describe('engine.open fails with the code of the operating system', () => {
  const socketAt = async (name: string) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(name, resolve));
    onTestFinished(() => {
      server.close();
    });
  };

  it.each<[string, string, (folder: string) => unknown, string, unknown]>([
    ['no file is there', 'ENOENT', () => undefined, 'missing', {}],
    [
      'no folder is there',
      'ENOENT',
      () => undefined,
      'missing/data',
      { access: 'write', create: true },
    ],
    ['it is a folder', 'EISDIR', () => undefined, '.', {}],
    [
      'it is a folder, to be written',
      'EISDIR',
      () => undefined,
      '.',
      { access: 'write', create: true },
    ],
    [
      'a file is in the way',
      'ENOTDIR',
      (at) => {
        writeFileSync(path.join(at, 'file'), '');
      },
      'file/data',
      {},
    ],
    [
      'links lead nowhere',
      'ELOOP',
      (at) => {
        symlinkSync('loop', path.join(at, 'loop'));
      },
      'loop',
      {},
    ],
    ['the name is too long', 'ENAMETOOLONG', () => undefined, 'x'.repeat(256), {}],
    ['the path is too long', 'ENAMETOOLONG', () => undefined, 'x/'.repeat(4096), {}],
    [
      'it must not be there',
      'EEXIST',
      (at) => {
        writeFileSync(path.join(at, 'file'), '');
      },
      'file',
      { access: 'write', create: 'exclusive' },
    ],
    ['it is a socket', 'ENXIO', (at) => socketAt(path.join(at, 'socket')), 'socket', {}],
    [
      'nobody reads the FIFO',
      'ENXIO',
      (at) => execFileSync('mkfifo', [path.join(at, 'fifo')]),
      'fifo',
      { access: 'write' },
    ],
    [
      'it cannot be so large',
      'EFBIG',
      () => undefined,
      'large',
      { access: 'write', create: true, size: 2 ** 53 - 1 },
    ],
  ])('where %s: %s', async (_, code, prepare, name, options) => {
    const folder = tempFolder();
    await prepare(folder);
    const full = path.join(folder, name);
    const error = await rejection(() => open(full, options));
    expect(error).toBeInstanceOf(RingboltError);
    expect(error).toMatchObject({ code, path: full });
    const { errno, syscall, message } = error as RingboltError;
    expect(errno).toBeLessThan(0);
    expect(message).toContain(code);
    expect(message).toContain(syscall);
    expect(descriptorsOf(full)).toBe(0);
  });

  it('where a running program would be written: ETXTBSY', async () => {
    const program = path.join(tempFolder(), 'sleep');
    copyFileSync('/bin/sleep', program);
    const running = spawn(program, ['60']);
    onTestFinished(() => {
      running.kill();
    });
    await expectRefused(() => open(program, { access: 'write' }), { code: 'ETXTBSY' });
  });

  it('where it has too many files open: ENFILE, until one is closed', async () => {
    const small = await startEngine({ maxFiles: 2 });
    const name = numberedFile();
    const [first] = [await small.open(name), await small.open(name)];
    await expectRefused(() => small.open(name), { code: 'ENFILE', naming: ['2'] });
    expect(descriptorsOf(name)).toBe(2);
    await first.close();
    await expectStillWorks(small, await small.open(name));
  });
});

describe('engine.open says ERR_RINGBOLT_UNSUPPORTED', () => {
  const UNSUPPORTED = { code: 'ERR_RINGBOLT_UNSUPPORTED', name: 'RingboltError' };

  it.each(['/dev/null', '/dev/zero', '/dev/urandom', '/dev/tty'])('to %s', async (name) => {
    const error = (await rejection(() => open(name))) as RingboltError;
    if (error.code === 'ENXIO') return; // no terminal to open
    expect(error).toMatchObject({ ...UNSUPPORTED, path: name });
    expect(error.message).toContain(name);
  });

  it('to a FIFO, without waiting for its other end', async () => {
    const name = path.join(tempFolder(), 'fifo');
    execFileSync('mkfifo', [name]);
    await expectRefused(() => open(name), { ...UNSUPPORTED, naming: [name] });
    await expectRefused(() => open(name, { access: 'read-write' }), UNSUPPORTED);
    expect(descriptorsOf(name)).toBe(0);
  });

  it('to direct I/O where the file system has none, and leaves nothing there', async () => {
    const name = '/proc/self/status';
    await expectRefused(() => open(name, { direct: true }), {
      ...UNSUPPORTED,
      naming: ['O_DIRECT'],
    });
    const file = await engine.open(name);
    expect(file).toMatchObject({ direct: false, size: 0 });
    expect(file.remarks).toContain('O_DIRECT');
    expect(await file.read(0, new Uint8Array(file.blockSize))).toBeGreaterThan(0);
    await file.close();
  });
});

describe('engine.open', () => {
  it('may not do what the user may not: EACCES', async ({ skip }) => {
    const folder = tempFolder();
    chmodSync(folder, 0o755);
    const [secret, shared] = [path.join(folder, 'secret'), path.join(folder, 'shared')];
    writeFileSync(secret, 'x', { mode: 0o000 });
    writeFileSync(shared, 'x');
    chmodSync(shared, 0o644);
    const root = process.getuid?.() === 0;
    const ofSomebodyElse = [
      [shared, 'write', 'EACCES'],
      [shared, 'read', 'opened'],
      [path.join(folder, 'new'), 'create', 'EACCES'],
    ];
    const attempts = [[secret, 'read', 'EACCES'], ...(root ? ofSomebodyElse : [])];
    const under = root ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    if (root) {
      try {
        execFileSync(under[0]!, [...under.slice(1), 'test', '-r', packagePath], { stdio: 'pipe' });
      } catch {
        skip('another user may not read the package, or setpriv is missing');
      }
    }
    const end = await runProgram('misuse/programs/open-as-user.cjs', {
      under,
      args: attempts.flatMap(([name, how]) => [name!, how!]),
    });
    expect(end).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(JSON.parse(end.stdout)).toEqual(attempts.map(([, , code]) => code));
    expect(existsSync(path.join(folder, 'new'))).toBe(false);
  });

  it('cuts nothing when it fails: neither for want of room nor of a place', async () => {
    const name = numberedFile(4);
    const contents = readFileSync(name);
    const options = { access: 'write', truncate: true } as const;
    await expectRefused(() => open(name, { ...options, size: 2 ** 53 - 1 }), { code: 'EFBIG' });
    expect(readFileSync(name).equals(contents)).toBe(true);

    const full = await startEngine({ maxFiles: 1 });
    const other = await full.open(numberedFile());
    await expectRefused(() => full.open(name, options), { code: 'ENFILE' });
    expect(readFileSync(name).equals(contents)).toBe(true);
    await expectStillWorks(full, other);
  });

  it('cuts nothing that somebody else has locked', async () => {
    const name = numberedFile(4);
    const holder = await engine.open(name, { access: 'read-write', lock: 'exclusive' });
    const contents = readFileSync(name);
    for (const options of [
      { access: 'read-write', lock: 'exclusive', truncate: true },
      { access: 'read', lock: 'shared' },
      { access: 'read-write', lock: 'exclusive', create: true, size: 2 ** 20 },
    ]) {
      const refusal = { code: 'ERR_RINGBOLT_BUSY', naming: [name] };
      await expectRefused(() => open(name, options), refusal);
    }
    expect(readFileSync(name)).toEqual(contents);
    await holder.close();
    await open(name, { access: 'read-write', lock: 'exclusive' });
  });

  it('refuses more at once than it can keep in mind, and opens the rest', async () => {
    const many = await startEngine({ maxFiles: 4096 });
    const name = numberedFile();
    const opens = Array.from({ length: 1500 }, () => many.open(name));
    let refused = 0;
    for (const outcome of await Promise.allSettled(opens)) {
      if (outcome.status === 'fulfilled') continue;
      refused++;
      expect(outcome.reason).toMatchObject({ code: 'ERR_RINGBOLT_OVERLOADED' });
    }
    expect(refused).toBe(1500 - 1024);
    await expectStillWorks(many, await many.open(name));
  });

  it('works after all of that', async () => {
    const file = await engine.open(numberedFile());
    await expectStillWorks(engine, file);
    await file.close();
  });
});
