// A volume on two simulated drives, and blocks that say what they are.

import { createVolume, type OpenVolumeOptions } from '../../dist/lib/volume/open.js';
import { Bitmap } from '../../dist/lib/volume/format/bitmap.js';
import { sectorSeed } from '../../dist/lib/volume/format/sectors.js';
import {
  BITMAP_SECTORS,
  Geometry,
  planLayout,
  shapeOf,
  TAGS_PER_PAGE,
  type Area,
} from '../../dist/lib/volume/geometry.js';
import { openVolume, type Volume } from '../../dist/lib/volume/volume.js';
import type { Seeded } from '../support/seeded.js';
import { SimulatedWorld, type SimulatedDrive } from './simulated-drive.js';
import { SECTOR } from './simulated-medium.js';

export const BLOCK = 4096;
/** Of the volume's uuid, in the sidecar. */
const UUID_AT = 48;
/** The version of a sector of zeros. */
export const ZEROS = 0;
/** Of one that nobody wrote. */
const MIXED = -1;

type Settings = Partial<OpenVolumeOptions>;

export class SimulatedVolume {
  readonly world: SimulatedWorld;
  readonly data: SimulatedDrive;
  readonly sidecar: SimulatedDrive;
  readonly geometry: Geometry;
  /** Of the sidecar's sectors. */
  seed = 0;
  /** To look at sectors with. */
  #bitmaps: readonly Bitmap[] | undefined;
  /** What the volume's timer has to do, if anything. */
  onTimer: (() => void) | undefined;

  constructor(random: Seeded, bytes: number, units: { data?: number; sidecar?: number } = {}) {
    const shape = shapeOf(bytes, BLOCK);
    this.geometry = new Geometry(shape, planLayout(shape));
    this.world = new SimulatedWorld(random.fork());
    this.data = this.world.addDrive('data', { size: bytes, blockSize: units.data ?? 512 });
    const size = this.geometry.sidecarBytes;
    this.sidecar = this.world.addDrive('sidecar', { size, blockSize: units.sidecar ?? 512 });
  }

  async create(contents: 'zeros' | 'unknown' = 'zeros'): Promise<void> {
    await createVolume({ data: this.data.open(), sidecar: this.sidecar.open(), contents });
    this.seed = sectorSeed(this.sidecar.medium.durable(UUID_AT, 16));
  }

  open(settings: Settings = {}): Promise<Volume> {
    this.onTimer = undefined;
    return openVolume({
      data: this.data.open(),
      sidecar: this.sidecar.open(),
      tagPages: 2,
      timer: (run) => {
        this.onTimer = () => {
          this.onTimer = undefined;
          run();
        };
        return () => (this.onTimer = undefined);
      },
      ...settings,
    });
  }

  /**
   * Whether the region's bit is set in either bitmap, for certain; or perhaps, in what is read after a crash. A bitmap's sector that is not
   * valid has all bits.
   */
  isMarked(region: number, how: 'certainly' | 'perhaps' = 'certainly'): boolean {
    const { medium } = this.sidecar;
    const { bitmaps } = this.geometry.layout;
    const isSet = ({ offset }: Area) => {
      const [at, mask] = [offset + 16 + (region >> 3), 1 << (region & 7)];
      if ((medium.durable(at, 1)[0]! & mask) !== 0) return true;
      return how === 'perhaps' && (medium.visible(at, 1)[0]! & mask) !== 0;
    };
    return (
      bitmaps.some(isSet) || bitmaps.some(({ offset }, which) => !this.#isValid(which, offset))
    );
  }

  #isValid(which: number, offset: number): boolean {
    const { medium } = this.sidecar;
    // It is read in units of the drive.
    if (medium.unreadableIn(offset, this.sidecar.blockSize) !== undefined) return false;
    this.#bitmaps ??= [0, 1].map(
      (one) => new Bitmap(one, new Uint8Array(BITMAP_SECTORS * SECTOR), this.seed),
    );
    const bitmap = this.#bitmaps[which]!;
    bitmap.bytes.set(medium.durable(offset, SECTOR));
    return bitmap.isValid(0);
  }

  regionOf(block: number): number {
    return Math.floor(block / TAGS_PER_PAGE);
  }

  /** Rot. */
  damage(block: number, sector: number, version: number): void {
    const bytes = blockOf(block, version).subarray(0, SECTOR);
    this.data.medium.overwrite(block * BLOCK + sector * SECTOR, bytes);
  }
}

/** A block of some version: each sector says so in all its words. */
export function blockOf(block: number, version: number): Uint8Array {
  return blocksOf(block, 1, version);
}

/** Some blocks in a row, of one version. */
export function blocksOf(first: number, count: number, version: number): Uint8Array {
  const words = new Uint32Array((count * BLOCK) / 4);
  if (version === ZEROS) return new Uint8Array(words.buffer);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = first + Math.floor((i * 4) / BLOCK) + 1;
    words[i + 1] = version;
  }
  return new Uint8Array(words.buffer);
}

/** Of each sector of a block. */
export function versionsOf(block: number, bytes: Uint8Array): number[] {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, BLOCK / 4);
  const versions: number[] = [];
  for (let at = 0; at < words.length; at += SECTOR / 4) versions.push(versionAt(words, at, block));
  return versions;
}

function versionAt(words: Uint32Array, at: number, block: number): number {
  const version = words[at + 1]!;
  const first = version === ZEROS ? 0 : block + 1;
  for (let i = at; i < at + SECTOR / 4; i += 2) {
    if (words[i] !== first || words[i + 1] !== version) return MIXED;
  }
  return version;
}
