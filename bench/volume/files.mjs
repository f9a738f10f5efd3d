// A file with a sidecar, every block of it with a tag; and the same file, bare.
//
// All blocks have the same contents, also after they were written bare, so that they go on matching their tags: both are measured on the same
// file, as two files of the same disk may differ by a third.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as passed } from 'node:timers/promises';

const require = createRequire(import.meta.url);
const { createVolume } = require('../../dist/lib/volume/open.js');
const { openVolume } = require('../../dist/lib/volume/volume.js');
const { Geometry, planLayout, shapeOf } = require('../../dist/lib/volume/geometry.js');

export const BLOCK = 4096;
const PIECE = 2 ** 20;
const AT_ONCE = 8;

const contents = randomBytes(BLOCK);

/** With what all blocks have. */
export function acquire(pool, bytes) {
  const lease = pool.acquire(bytes);
  for (let at = 0; at < bytes; at += BLOCK) contents.copy(lease.buffer, at);
  return lease;
}

export class VolumeFiles {
  #engine;
  #folder;
  #bytes;

  constructor(engine, folder, bytes) {
    this.#engine = engine;
    this.#folder = folder;
    this.#bytes = bytes;
  }

  get geometry() {
    const shape = shapeOf(this.#bytes, BLOCK);
    return new Geometry(shape, planLayout(shape));
  }

  async make() {
    const data = await this.#open('data', this.#bytes);
    const sidecar = await this.#open('data.ringbolt', this.geometry.sidecarBytes);
    await createVolume({ data, sidecar, contents: 'unknown' });
    await sidecar.close();
    await data.close();
    const volume = await this.openVolume({});
    await this.#fill(volume);
    await volume.close();
  }

  openBare() {
    return this.#open('data');
  }

  /** `delayMs`: added to every flush and durable write of the sidecar. */
  async openVolume({ delayMs = 0, ...options }) {
    const data = await this.#open('data');
    const sidecar = await this.#open('data.ringbolt');
    const slow = delayMs > 0 ? new SlowTarget(sidecar, delayMs) : sidecar;
    return openVolume({ data, sidecar: slow, ...options });
  }

  remove() {
    for (const name of ['data', 'data.ringbolt']) {
      rmSync(join(this.#folder, name), { force: true });
    }
  }

  #open(name, size) {
    const made = size === undefined ? {} : { create: true, size };
    return this.#engine.open(join(this.#folder, name), { access: 'read-write', ...made });
  }

  async #fill(target) {
    let next = 0;
    const one = async () => {
      const lease = acquire(this.#engine.pool, PIECE);
      while (next < this.#bytes) {
        const at = next;
        next += PIECE;
        await target.write(at, lease);
      }
      lease.release();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    await target.flush();
  }
}

/** A file whose blocks are hashed, and nothing else: what of a volume's cost is the engine's. */
export class HashedFile {
  #file;
  #spare = [];

  constructor(file) {
    this.#file = file;
  }

  read(offset, into) {
    return this.#run('read', offset, into);
  }

  write(offset, from) {
    return this.#run('write', offset, from);
  }

  readBatch(ops) {
    return this.#runBatch('readBatch', ops);
  }

  writeBatch(ops) {
    return this.#runBatch('writeBatch', ops);
  }

  #checksums(offset, bytes) {
    const blocks = bytes / BLOCK;
    const out = (this.#spare[blocks] ??= []).pop() ?? new BigUint64Array(blocks);
    return {
      algorithm: 'crc64nvme',
      blockSize: BLOCK,
      seed: 0x1234_5678_9abc_def0n,
      firstBlock: offset / BLOCK,
      out,
    };
  }

  #run(kind, offset, lease) {
    const checksum = this.#checksums(offset, lease.buffer.length);
    return this.#file[kind](offset, lease, { checksum }).then((bytes) => {
      this.#spare[checksum.out.length].push(checksum.out);
      return bytes;
    });
  }

  #runBatch(kind, ops) {
    const bytes = ops.reduce((sum, { buffer }) => sum + buffer.buffer.length, 0);
    const numbered = ops.map((op) => ({ ...op, firstBlock: op.offset / BLOCK }));
    const checksum = this.#checksums(ops[0].offset, bytes);
    return this.#file[kind](numbered, { checksum }).then((result) => {
      this.#spare[checksum.out.length].push(checksum.out);
      return result;
    });
  }
}

/** A sidecar on a disk that is slow to say that something is durable. */
class SlowTarget {
  #target;
  #delayMs;

  constructor(target, delayMs) {
    this.#target = target;
    this.#delayMs = delayMs;
  }

  get path() {
    return this.#target.path;
  }

  get size() {
    return this.#target.size;
  }

  get blockSize() {
    return this.#target.blockSize;
  }

  read(offset, into, options) {
    return this.#target.read(offset, into, options);
  }

  async write(offset, from, options) {
    const bytes = await this.#target.write(offset, from, options);
    if (options?.durable) await passed(this.#delayMs);
    return bytes;
  }

  async writeBatch(ops, options) {
    const result = await this.#target.writeBatch(ops, options);
    if (options?.durable) await passed(this.#delayMs);
    return result;
  }

  async flush(options) {
    await this.#target.flush(options);
    await passed(this.#delayMs);
  }

  close() {
    return this.#target.close();
  }
}
