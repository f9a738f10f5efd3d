// A volume on two simulated drives, and blocks that say what they are.

import { createVolume, type OpenVolumeOptions } from '../../dist/lib/volume/open.js';
import { Geometry, planLayout, shapeOf, TAGS_PER_PAGE } from '../../dist/lib/volume/geometry.js';
import { openVolume, type Volume } from '../../dist/lib/volume/volume.js';
import type { Seeded } from '../support/seeded.js';
import { SimulatedWorld, type SimulatedDrive } from './simulated-drive.js';
import { SECTOR } from './simulated-medium.js';

export const BLOCK = 4096;
const SECTORS = BLOCK / SECTOR;
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

  /** Whether the region's bit is set in either bitmap, for certain. */
  isMarked(region: number): boolean {
    return this.geometry.layout.bitmaps.some(({ offset }) => {
      const [byte] = this.sidecar.medium.durable(offset + 16 + (region >> 3), 1);
      return (byte! & (1 << (region & 7))) !== 0;
    });
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
  const words = new Uint32Array(BLOCK / 4);
  if (version === ZEROS) return new Uint8Array(words.buffer);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = block + 1;
    words[i + 1] = version;
  }
  return new Uint8Array(words.buffer);
}

/** Some blocks in a row, of one version. */
export function blocksOf(first: number, count: number, version: number): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, (_, i) => blockOf(first + i, version)));
}

/** Of each sector of a block. */
export function versionsOf(block: number, bytes: Uint8Array): number[] {
  const words = new Uint32Array(bytes.slice().buffer);
  return Array.from({ length: SECTORS }, (_, sector) => {
    const some = words.subarray((sector * SECTOR) / 4, ((sector + 1) * SECTOR) / 4);
    const version = some[1]!;
    const first = version === ZEROS ? 0 : block + 1;
    const isWhole = some.every((word, i) => word === (i % 2 === 0 ? first : version));
    return isWhole ? version : MIXED;
  });
}
