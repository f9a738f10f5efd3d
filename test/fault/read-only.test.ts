// Shows what is refused where a file system is mounted read-only, before or while its files are open, and that reading goes on.
// On a real ext4, and on each backend.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { BLOCK, isNumbered, numbered } from '../lifecycle/numbered-file.js';
import { BACKENDS, needBackend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { ext4Folder, run } from '../support/loop-device.js';

const DISK_BYTES = 8 * 2 ** 20;
const BLOCKS = 16;
const EROFS = { code: 'EROFS', errno: -30 };

/** Has ext4 find an error, upon which it makes itself read-only under everybody who has files open there. */
function breakDown(folder: string, skip: TestContext['skip']): void {
  run('mount', '-o', 'remount,errors=remount-ro', folder);
  const device = path.basename(run('findmnt', '--noheadings', '--output', 'SOURCE', folder));
  const trigger = `/sys/fs/ext4/${device}/trigger_fs_error`;
  if (!existsSync(trigger)) skip(`there is no ${trigger}`);
  writeFileSync(trigger, 'asked for by a test');
}

describe.each(BACKENDS)('on a read-only file system, %s', (backend) => {
  it('nothing is opened for writing, and all is read', async ({ skip }) => {
    await needBackend(backend, skip);
    const folder = ext4Folder(skip, DISK_BYTES);
    const name = path.join(folder, 'data');
    writeFileSync(name, numbered(BLOCKS), { flush: true });
    run('mount', '-o', 'remount,ro', folder);
    const engine = await startEngine({ backend });
    for (const options of [
      { access: 'write' },
      { access: 'read-write' },
      { access: 'read-write', truncate: true },
      { access: 'read-write', size: 64 * BLOCK },
    ] as const) {
      await expect(engine.open(name, options)).rejects.toMatchObject({ ...EROFS, path: name });
    }
    const other = path.join(folder, 'new');
    await expect(engine.open(other, { access: 'read-write', create: true })).rejects.toMatchObject({
      ...EROFS,
      path: other,
    });

    for (const direct of [true, false]) {
      const file = await engine.open(name, { direct });
      const data = Buffer.alloc(BLOCKS * BLOCK);
      expect(await file.read(0, data)).toBe(data.length);
      expect(isNumbered(data, 0)).toBe(true);
      await file.flush(); // nothing to do
      await file.close();
    }
  });

  it.for([true, false])(
    'a file that was open for writing when it became so is still read; direct: %j',
    async (direct, { skip }) => {
      await needBackend(backend, skip);
      const folder = ext4Folder(skip, DISK_BYTES);
      const name = path.join(folder, 'data');
      writeFileSync(name, numbered(BLOCKS), { flush: true });
      const engine = await startEngine({ backend });
      const file = await engine.open(name, { access: 'read-write', direct });
      const lease = engine.pool.acquire(BLOCK);
      expect(await file.read(BLOCK, lease)).toBe(BLOCK);
      expect(await file.write(BLOCK, lease, { durable: true })).toBe(BLOCK);

      breakDown(folder, skip);
      const refused = { code: 'EROFS' };
      const place = { path: name, offset: 2 * BLOCK, length: BLOCK, bytesDone: 0 };
      await expect(file.write(2 * BLOCK, lease)).rejects.toMatchObject({ ...refused, ...place });
      await expect(file.write(2 * BLOCK, new Uint8Array(BLOCK))).rejects.toMatchObject(refused);
      await expect(file.write(BLOCKS * BLOCK, lease)).rejects.toMatchObject(refused);
      expect(file.size).toBe(BLOCKS * BLOCK);
      const whole = { bytesTotal: BLOCK };
      expect(await file.readBatch([{ offset: BLOCK, buffer: lease }])).toMatchObject(whole);
      const data = Buffer.alloc(BLOCKS * BLOCK);
      expect(await file.read(0, data)).toBe(data.length);
      expect(isNumbered(data, 0)).toBe(true);

      // Nothing durable can be had any more, and what was refused once is refused from then on.
      const durable = () => file.write(0, lease, { durable: true });
      await expect(durable()).rejects.toMatchObject(refused);
      await expect(durable()).rejects.toMatchObject(refused);
      await expect(file.flush()).rejects.toMatchObject(refused);
      lease.release();
      await file.close();
      expect(readFileSync(name).equals(data)).toBe(true);
      expect(engine.pool.stats().bytesInUse).toBe(0);
    },
  );
});
