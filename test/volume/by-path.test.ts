// Shows volumes as their users make and open them, by path: what is made, what is refused before anything is, who has it, and that what fails
// leaves nothing behind.

import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Engine, Volume, type VolumeCreateOptions } from 'ringbolt';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startEngine } from '../support/engine.js';
import { loopDevice } from '../support/loop-device.js';
import { tempFolder } from '../support/temp-folder.js';

const BLOCK = 4096;
const MIB = 2 ** 20;

const withCode = (code: string, message = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

let engine: Engine;
let folder: string;
let name: string;

beforeEach(async () => {
  engine = await startEngine();
  folder = tempFolder();
  name = path.join(folder, 'data');
});

describe('a volume that is made', () => {
  it.each([
    ['of whole blocks', 3 * MIB, {}],
    ['with a ragged last block', 3 * MIB + 77, {}],
    ['in the page cache', 3 * MIB, { direct: false }],
    ['sparse', 64 * MIB, { sparse: true }],
    ['sparse, with a ragged last block', 64 * MIB + 77, { sparse: true }],
    ['of large blocks', 3 * MIB, { blockSize: 65536, algorithm: 'xxh3' }],
  ] as [string, number, Partial<VolumeCreateOptions>][])(
    '%s, keeps what is written, and says what it is',
    async (_, size, options: Partial<VolumeCreateOptions>) => {
      const volume = await Volume.create(engine, name, { size, ...options });
      const { blockSize } = volume;
      const metaBytes = Volume.sidecarBytes(size, blockSize);
      expect(volume.status()).toMatchObject({
        state: 'open',
        metaPath: `${name}.ringbolt`,
        metaBytes,
        algorithm: options.algorithm ?? 'crc64nvme',
        changedWhileClosed: false,
        truncated: false,
      });
      expect([statSync(name).size, statSync(`${name}.ringbolt`).size]).toEqual([size, metaBytes]);
      expect(statSync(`${name}.ringbolt`).blocks * 512).toBeGreaterThanOrEqual(metaBytes);
      if (options.sparse === true) expect(statSync(name).blocks * 512).toBeLessThan(size / 2);
      const last = size - (size % blockSize || blockSize);
      const [head, tail] = [randomBytes(2 * blockSize), randomBytes(size - last)];
      await volume.write(blockSize, head);
      await volume.write(last, tail);
      await volume.flush();
      expect(volume.stats()).toMatchObject({
        data: { writes: 2, bytesWritten: head.length + tail.length, flushes: 1 },
        sidecar: { durableWrites: expect.any(Number) as number },
        tags: { dirty: expect.any(Number) as number },
      });
      await volume.close();
      const again = await Volume.open(engine, name, { access: 'read' });
      expect([again.size, again.blockSize]).toEqual([size, blockSize]);
      const into = Buffer.alloc(4 * blockSize);
      expect(await again.read(0, into)).toBe(into.length);
      const zeros = Buffer.alloc(blockSize);
      expect(into.equals(Buffer.concat([zeros, head, zeros]))).toBe(true);
      expect(await again.read(last, into)).toBe(tail.length);
      expect(into.subarray(0, tail.length).equals(tail)).toBe(true);
      expect(again.status()).toMatchObject({ state: 'read-only', changedWhileClosed: false });
      await again.close();
    },
  );

  it('on another path than beside its data, has its sidecar there and nowhere else', async () => {
    const metaPath = path.join(tempFolder(), 'tags');
    await (await Volume.create(engine, name, { size: MIB, metaPath })).close();
    expect(readdirSync(folder)).toEqual(['data']);
    await expect(Volume.open(engine, name)).rejects.toThrow(withCode('ENOENT', /no sidecar there/));
    await (await Volume.open(engine, name, { metaPath })).close();
  });

  it('never takes the place of a file or a sidecar, and leaves no half of itself', async () => {
    writeFileSync(name, 'precious');
    await expect(Volume.create(engine, name, { size: MIB })).rejects.toThrow(withCode('EEXIST'));
    expect(readFileSync(name, 'utf8')).toBe('precious');
    expect(readdirSync(folder)).toEqual(['data']);
    const other = path.join(folder, 'other');
    writeFileSync(`${other}.ringbolt`, 'precious');
    await expect(Volume.create(engine, other, { size: MIB })).rejects.toThrow(
      withCode('EEXIST', /remove it first/),
    );
    expect(readFileSync(`${other}.ringbolt`, 'utf8')).toBe('precious');
    expect(existsSync(other)).toBe(false);
  });

  it('needs space for both, and says how much before it takes any', async () => {
    const { bavail, bsize } = statfsSync(folder);
    const size = bavail * bsize - ((bavail * bsize) % BLOCK);
    await expect(Volume.create(engine, name, { size })).rejects.toThrow(
      withCode('ENOSPC', new RegExp(`${size + Volume.sidecarBytes(size)} bytes are needed`)),
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('grows where there is space for it, and says how much is missing before it takes any', async () => {
    const volume = await Volume.create(engine, name, { size: MIB });
    const { bavail, bsize } = statfsSync(folder);
    const blocksBefore = statSync(name).blocks;
    const tooLarge = MIB + bavail * bsize + 2 ** 30;
    await expect(volume.grow(tooLarge - (tooLarge % BLOCK))).rejects.toThrow(
      withCode('ENOSPC', /bytes are needed/),
    );
    expect([volume.size, statSync(name).blocks]).toEqual([MIB, blocksBefore]);
    await volume.grow(2 * MIB);
    await volume.write(2 * MIB - BLOCK, randomBytes(BLOCK));
    expect([volume.size, statSync(name).size]).toEqual([2 * MIB, 2 * MIB]);
    await volume.close();
  });

  it('on a device zeroes all of it, if that is what was asked for', async ({ skip }) => {
    const device = loopDevice(skip, randomBytes(4 * MIB));
    const own = await Engine.start({ pool: { bytes: 8 * MIB } });
    onTestFinished(() => own.close());
    const metaPath = path.join(folder, 'tags');
    const asked = { metaPath, overwrite: true };
    await expect(Volume.create(own, device, {})).rejects.toThrow(
      withCode('ERR_INVALID_ARG_VALUE', /metaPath/),
    );
    await expect(Volume.create(own, device, { metaPath })).rejects.toThrow(
      withCode('ERR_INVALID_ARG_VALUE', /overwrite.*zeroed/),
    );
    await expect(Volume.create(own, device, { ...asked, size: MIB })).rejects.toThrow(
      withCode('ERR_INVALID_ARG_VALUE', /size/),
    );
    expect(readFileSync(device).subarray(0, 64).equals(Buffer.alloc(64))).toBe(false);
    const volume = await Volume.create(own, device, asked);
    expect(volume.size).toBe(4 * MIB);
    await volume.write(0, Buffer.alloc(BLOCK, 1));
    await volume.close();
    const again = await Volume.open(own, device, { metaPath });
    expect(again.status()).toMatchObject({ changedWhileClosed: false, recovery: { regions: 0 } });
    const into = Buffer.alloc(4 * MIB);
    await again.read(0, into);
    expect(
      into.equals(Buffer.concat([Buffer.alloc(BLOCK, 1), Buffer.alloc(4 * MIB - BLOCK)])),
    ).toBe(true);
    await again.close();
  });
});

describe('a file that is protected', () => {
  it.each([3 * MIB, 3 * MIB + 77])('of %d bytes, stays what it is', async (size) => {
    const contents = randomBytes(size);
    writeFileSync(name, contents);
    const volume = await Volume.protect(engine, name);
    const into = Buffer.alloc(4 * MIB);
    expect(await volume.read(0, into)).toBe(size);
    expect(into.subarray(0, size).equals(contents)).toBe(true);
    await volume.close();
    expect(readFileSync(name).equals(contents)).toBe(true);
  });

  it('is refused where there is a sidecar, or nothing to protect', async () => {
    await expect(Volume.protect(engine, name)).rejects.toThrow(withCode('ENOENT'));
    writeFileSync(name, '');
    await expect(Volume.protect(engine, name)).rejects.toThrow(
      withCode('ERR_RINGBOLT_UNSUPPORTED', /empty/),
    );
    truncateSync(name, MIB);
    expect(readdirSync(folder)).toEqual(['data']);
    await (await Volume.protect(engine, name)).close();
    await expect(Volume.protect(engine, name)).rejects.toThrow(withCode('EEXIST'));
  });

  it('is refused a sidecar that is gone after a reboot', async ({ skip }) => {
    const memory = '/dev/shm';
    if (!existsSync(memory)) return skip('there is no file system in memory');
    writeFileSync(name, 'contents');
    const metaPath = path.join(tempFolder(memory), 'tags');
    await expect(Volume.protect(engine, name, { metaPath })).rejects.toThrow(
      withCode('ERR_RINGBOLT_UNSUPPORTED', /in memory/),
    );
  });
});

describe('a volume that is opened', () => {
  it('has one writer or many readers, and names who is in the way', async () => {
    const other = await startEngine();
    const volume = await Volume.create(engine, name, { size: MIB });
    for (const access of ['read', 'read-write'] as const) {
      await expect(Volume.open(other, name, { access })).rejects.toThrow(
        withCode('ERR_RINGBOLT_BUSY', new RegExp(`process ${process.pid} \\(`)),
      );
    }
    await volume.close();
    const readers = [
      await Volume.open(engine, name, { access: 'read' }),
      await Volume.open(other, name, { access: 'read' }),
    ];
    await expect(readers[0]!.write(0, new Uint8Array(BLOCK))).rejects.toThrow(
      withCode('ERR_RINGBOLT_UNSUPPORTED'),
    );
    await expect(Volume.open(engine, name)).rejects.toThrow(withCode('ERR_RINGBOLT_BUSY'));
    for (const reader of readers) await reader.close();
    await (await Volume.open(engine, name)).close();
  });

  it('notices that its data was changed, or cut, while it was closed', async () => {
    await (await Volume.create(engine, name, { size: MIB })).close();
    await (await Volume.open(engine, name)).close();
    const contents = readFileSync(name);
    writeFileSync(name, contents);
    const changed = await Volume.open(engine, name);
    expect(changed.status()).toMatchObject({ changedWhileClosed: true, truncated: false });
    await changed.close();
    truncateSync(name, MIB / 2);
    const cut = await Volume.open(engine, name, { access: 'read' });
    expect(cut.status()).toMatchObject({ changedWhileClosed: true, truncated: true });
    await expect(cut.read(MIB / 2, new Uint8Array(BLOCK))).rejects.toThrow(
      withCode('ERR_RINGBOLT_CORRUPT'),
    );
    await cut.close();
  });

  it('is closed cleanly by its engine, whoever forgets to', async () => {
    const own = await Engine.start({ pool: { bytes: 8 * MIB } });
    const volume = await Volume.create(own, name, { size: MIB });
    const data = randomBytes(BLOCK);
    await volume.write(0, data);
    await own.close();
    expect(volume.status().state).toBe('closed');
    const again = await Volume.open(engine, name);
    expect(again.status().recovery).toMatchObject({ regions: 0 });
    await again.close();
  });

  it('is refused where the sidecar is none, and both files stay as they are', async () => {
    const [contents, tags] = [randomBytes(MIB), randomBytes(2 * MIB)];
    writeFileSync(name, contents);
    writeFileSync(`${name}.ringbolt`, tags);
    await expect(Volume.open(engine, name)).rejects.toThrow(withCode('ERR_RINGBOLT_FORMAT'));
    expect(readFileSync(name).equals(contents)).toBe(true);
    expect(readFileSync(`${name}.ringbolt`).equals(tags)).toBe(true);
    await (await engine.open(name, { access: 'read-write', lock: 'exclusive' })).close();
  });

  it('streams what is verified', async () => {
    const size = 3 * MIB + 77;
    const volume = await Volume.create(engine, name, { size });
    const contents = randomBytes(size - 5000);
    await pipeline([contents.subarray(0, 100_000), contents.subarray(100_000)], volume.writable());
    await pipeline([Buffer.from('tail')], volume.writable({ start: size - 4 }));
    const chunks: Buffer[] = [];
    for await (const chunk of volume.readable({ start: 1 })) chunks.push(chunk as Buffer);
    const wanted = Buffer.alloc(size);
    contents.copy(wanted);
    wanted.write('tail', size - 4);
    expect(Buffer.concat(chunks).equals(wanted.subarray(1))).toBe(true);
    let at = 0;
    for await (const lease of volume.leases()) {
      expect(lease.buffer.equals(wanted.subarray(at, at + lease.buffer.length))).toBe(true);
      at += lease.buffer.length;
      lease.release();
    }
    expect(at).toBe(size);
    await volume.close();
    const damaged = readFileSync(name);
    damaged[MIB]! ^= 1;
    writeFileSync(name, damaged);
    const again = await Volume.open(engine, name);
    const stream = again.readable();
    const reading = (async () => {
      let bytes = 0;
      for await (const chunk of stream) bytes += (chunk as Buffer).length;
      return bytes;
    })();
    await expect(reading).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT', /Blocks 256 /));
    const into = Buffer.alloc(2 * BLOCK);
    expect(await again.read(MIB - BLOCK, into, { verify: false })).toBe(2 * BLOCK);
    expect(into.equals(damaged.subarray(MIB - BLOCK, MIB + BLOCK))).toBe(true);
    await again.close();
  });
});

describe('wrong arguments', () => {
  it.each([
    ['no engine', () => Volume.open({} as never, name), 'ERR_INVALID_ARG_TYPE'],
    ['no path', () => Volume.open(engine, 5 as never), 'ERR_INVALID_ARG_TYPE'],
    ['an empty path', () => Volume.open(engine, ''), 'ERR_INVALID_ARG_VALUE'],
    ['a null byte', () => Volume.open(engine, 'a\0b'), 'ERR_INVALID_ARG_VALUE'],
    ['no options', () => Volume.open(engine, name, null as never), 'ERR_INVALID_ARG_TYPE'],
    [
      'an unknown option',
      () => Volume.open(engine, name, { blocksize: 1 } as never),
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      'an access that there is not',
      () => Volume.open(engine, name, { access: 'write' as never }),
      'ERR_INVALID_ARG_VALUE',
    ],
    ['no size', () => Volume.create(engine, name, {}), 'ERR_INVALID_ARG_VALUE'],
    ['size 0', () => Volume.create(engine, name, { size: 0 }), 'ERR_OUT_OF_RANGE'],
    [
      'odd blocks',
      () => Volume.create(engine, name, { size: MIB, blockSize: 5000 }),
      'ERR_OUT_OF_RANGE',
    ],
    [
      'an algorithm that there is not',
      () => Volume.create(engine, name, { size: MIB, algorithm: 'md5' as never }),
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      'a cache that is too small',
      () => Volume.create(engine, name, { size: MIB, tagCacheBytes: 1 }),
      'ERR_OUT_OF_RANGE',
    ],
    [
      'the data as its own sidecar',
      () => Volume.create(engine, name, { size: MIB, metaPath: name }),
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      'a folder that there is not',
      () => Volume.create(engine, path.join(folder, 'no', 'data'), { size: MIB }),
      'ENOENT',
    ],
  ] as const)('%s', async (_, run, code) => {
    await expect(run()).rejects.toThrow(withCode(code));
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ['read options', (v: Volume) => v.read(0, Buffer.alloc(BLOCK), null as never)],
    ['verify', (v: Volume) => v.read(0, Buffer.alloc(BLOCK), { verify: 1 as never })],
    ['stable', (v: Volume) => v.write(0, Buffer.alloc(BLOCK), { stable: 'no' as never })],
    ['an unknown option', (v: Volume) => v.write(0, Buffer.alloc(BLOCK), { sync: 1 } as never)],
    ['memory', (v: Volume) => v.write(0, 'text' as never)],
    ['a batch', (v: Volume) => v.readBatch(5 as never)],
    ['a transfer', (v: Volume) => v.readBatch([null as never])],
    ['batch errors', (v: Volume) => v.writeBatch([], { onError: 'ignore' as never })],
    ['flush options', (v: Volume) => v.flush({ durable: true } as never)],
    ['discard options', (v: Volume) => v.discard(0, BLOCK, { now: true } as never)],
    ['an offset', (v: Volume) => v.writeZeroes(-BLOCK, BLOCK)],
  ] as const)('of a volume: %s', async (_, run) => {
    const volume = await Volume.create(engine, name, { size: MIB });
    const refused: unknown = await run(volume).catch((error: unknown) => error);
    expect((refused as { code: string }).code).toMatch(/^ERR_INVALID_ARG|^ERR_OUT_OF_RANGE/);
    expect(volume.status()).toMatchObject({ state: 'open', dirtyRegions: 0 });
    await volume.close();
  });

  it('the data as its own sidecar, by another name', async () => {
    mkdirSync(path.join(folder, 'real'));
    symlinkSync(path.join(folder, 'real'), path.join(folder, 'link'));
    const [one, other] = ['real', 'link'].map((each) => path.join(folder, each, 'data'));
    await expect(Volume.create(engine, one!, { size: MIB, metaPath: other! })).rejects.toThrow(
      withCode('ERR_INVALID_ARG_VALUE', /own path/),
    );
  });
});
