// A file whose blocks say which they are, so that a read that went astray is seen.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { tempFolder } from '../support/temp-folder.js';

export const BLOCK = 4096;

/** Each block is filled with its own number, 32 bits little-endian. */
export function numbered(blocks: number): Uint8Array {
  const words = Uint32Array.from({ length: (blocks * BLOCK) / 4 }, (_, word) =>
    Math.floor((word * 4) / BLOCK),
  );
  return new Uint8Array(words.buffer);
}

/** The path of a file of numbered blocks, which is gone when the test is. */
export function numberedFile(blocks = 256, folder = tempFolder()): string {
  const name = path.join(folder, 'data');
  writeFileSync(name, numbered(blocks), { flush: true });
  return name;
}

/** The same on tmpfs, where ranges cannot be zeroed but holes can be punched. */
export function numberedFileInMemory(blocks: number): string {
  return numberedFile(blocks, tempFolder('/dev/shm'));
}

export function isNumbered(buffer: Buffer, block: number): boolean {
  for (let at = 0; at < buffer.length; at += 4) {
    if (buffer.readUInt32LE(at) !== block + Math.floor(at / BLOCK)) return false;
  }
  return true;
}
