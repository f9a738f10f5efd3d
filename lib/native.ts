// Loads the addon and declares its shape. Nobody else touches it: the rest of lib/ imports types and constants from
// here, and gets the engine's class through `NativeEngine` and the checksum functions through `NativeChecksum`.

import { createRequire } from 'node:module';
import path from 'node:path';
import type { NativeFailure } from './errors.js';

/** Values of an op slot's kind (native/engine/op_slot.h). */
export const OpKind = {
  noop: 0,
  read: 1,
  write: 2,
  dataSync: 3,
  installFile: 4,
  removeFile: 5,
  cancel: 6,
  checksum: 7,
} as const;
export type OpKind = (typeof OpKind)[keyof typeof OpKind];

/** What is to become of a range (native/io/file_space.h). */
export const SpaceChange = { discard: 0, zero: 1 } as const;
export type SpaceChange = (typeof SpaceChange)[keyof typeof SpaceChange];

/** Bits of an op slot's flags. */
export const FLAG_DURABLE = 1;
export const FLAG_NUMBERED = 2;
export const FLAG_COMPARE = 4;
export const FLAG_RECHECK = 8;
/** From here on: a checksum algorithm. */
export const FLAG_ALGORITHM_SHIFT = 8;

export const ChecksumAlgorithm = { crc32c: 1, crc64nvme: 2, xxh3: 3 } as const;

/** What must agree between lib/ and native/; compared when the addon is loaded. */
export const LAYOUT = {
  opSlotBytes: 64,
  completionSlotBytes: 16,
  slabUnitBytes: 4096,
  controlSlots: 32,
  maxDepth: 8192,
  ioClasses: 2,
  queueNumbers: 12,
  classNumbers: 14,
  checksumBlocks: 4096,
  histogramBuckets: 864,
  histogramSubBuckets: 32,
  histogramFirstOctave: 10,
} as const;

/** Numbers in a row of `queueStats` (native/node/stats_layout.h). */
export const QUEUE_STATS_NUMBERS =
  LAYOUT.queueNumbers + LAYOUT.ioClasses * (LAYOUT.classNumbers + 3 * LAYOUT.histogramBuckets);

/** In the order of native/io/backend.h's BackendKind. */
export const BACKEND_KINDS = ['auto', 'io_uring', 'aio', 'threads'] as const;
export type BackendKind = (typeof BACKEND_KINDS)[number];
type BackendName = Exclude<BackendKind, 'auto'>;

/** In the order of native/memory/arena.h's HugePages. */
export const HUGE_PAGES = ['off', 'auto', 'require'] as const;

interface NativeEngineOptions {
  readonly queueCpus: readonly (readonly number[])[];
  readonly depth: number;
  readonly maxFiles: number;
  readonly poolParts: readonly { readonly node: number; readonly bytes: number }[];
  readonly largeBytes: number;
  /** Index of {@link HUGE_PAGES}. */
  readonly hugePages: number;
  readonly slabClasses: readonly number[];
  /** Index of {@link BACKEND_KINDS}. */
  readonly backend: number;
  /** For tests: lib/engine/faults.ts. */
  readonly faults: Readonly<Record<string, number>> | undefined;
  readonly without: readonly string[];
}

interface NativeFeature {
  readonly name: string;
  readonly active: boolean;
  readonly reason: string;
}

interface NativePassedOver extends NativeFailure {
  readonly backend: BackendName;
}

interface NativeQueueInfo {
  readonly backend: BackendName;
  readonly passedOver: readonly NativePassedOver[];
  readonly cpus: readonly number[];
  readonly bind: NativeFailure;
  readonly features: readonly NativeFeature[];
}

export interface NativeInfo {
  readonly poolParts: readonly NativePoolPart[];
  /** Of the parts, of the room for large leases, and of what lies between them. */
  readonly poolUnits: number;
  /** The first unit of that room. */
  readonly largeUnit: number;
  /** Its size; 0 if it could not be had. */
  readonly largeBytes: number;
  /** Of all parts and that room. */
  readonly memoryRemarks: string;
  /** Whether slabs and rings are seen by JavaScript, or copies of them (native/node/external_buffer.h). */
  readonly externalBuffers: NativeFeature;
  readonly queues: readonly NativeQueueInfo[];
}

export interface NativeOpenRequest {
  readonly path: string;
  readonly access: number;
  readonly create: number;
  readonly truncate: boolean;
  readonly direct: number;
  readonly lock: number;
  readonly size: number;
}

export interface NativeFile {
  readonly slot: number;
  readonly generation: number;
  readonly size: number;
  readonly alignment: number;
  readonly direct: boolean;
  /** On a file system without a device. */
  readonly inMemory: boolean;
  readonly remarks: string;
}

/** Memory of the pool on one NUMA node (native/memory/arena.h). */
interface NativePoolPart {
  /** -1: of no node in particular. */
  readonly node: number;
  readonly bytes: number;
  readonly firstUnit: number;
  readonly pages: 'hugetlb' | 'transparent' | 'plain';
  readonly hugeBytes: number;
  /** Where its memory lies; -1 where the kernel would not say. */
  readonly bytesOnNode: number;
  readonly remarks: string;
}

/** The engine's class; native/node/engine_wrap.h says what each method does. */
export interface NativeEngine {
  start(): Promise<NativeInfo | NativeFailure>;
  stop(): Promise<void>;
  /** Ends at once: what the kernel does not let go of is left behind. Nothing is delivered any more. */
  abandon(): void;
  openFile(request: NativeOpenRequest): Promise<NativeFile | NativeFailure>;
  closeFile(slot: number, generation: number): Promise<NativeFailure>;
  changeSpace(
    slot: number,
    generation: number,
    change: SpaceChange,
    offset: number,
    length: number,
  ): Promise<NativeFailure>;
  queueBlocks(queue: number): { submissions: ArrayBuffer; completions: ArrayBuffer };
  queueStats(queue: number, out: Float64Array): void;
  kick(queue: number, count: number): boolean;
  /** Once: makes the queue behind the last one, which is driven by this thread; an errno of 0 says that it is there. */
  startDriven(): NativeFailure;
  /** Kicks that queue, takes a turn in it, and delivers what is ready before it returns. False as for kick(). */
  drive(count: number): boolean;
  /** Fills `out` with free slabs, as many as are to be had at once; how many that were. */
  takeSlabs(part: number, slabClass: number, out: Uint32Array): number;
  /** Gives back the first `count`; how many of them were leased. */
  giveSlabs(units: Uint32Array, count: number): number;
  /** The first unit, or -1. */
  takeLarge(bytes: number): number;
  giveLarge(unit: number): void;
  /** The same by another thread; resolves once that memory may be had again. */
  giveLargeLater(unit: number): Promise<void>;
  /** False if that cannot be done. */
  detachBuffer(buffer: ArrayBufferLike): boolean;
  /** The bytes that were given back to the system. */
  trimPool(): Promise<number>;
  slabBuffer(
    unit: number,
    bytes?: number,
  ): { readonly buffer: ArrayBuffer; readonly generation: number };
  /** Copies all of `array` to a leased slab, from byte `at` on; false if it does not go so far. */
  fillSlab(unit: number, at: number, array: Uint8Array): boolean;
  /** Fills `array` from there. */
  readSlab(unit: number, at: number, array: Uint8Array): boolean;
  /** Slabs whose ArrayBuffer was collected while they were leased, each told once. */
  takeForgotten(): readonly { readonly unit: number; readonly generation: number }[];
  putForgotten(unit: number, generation: number): void;
  /** 0, or an errno. Before the first operation with checksums on that queue. */
  prepareChecksums(queue: number): number;
  /** False if `expected` is not as long as that any more. */
  putExpected(
    queue: number,
    place: number,
    expected: BigUint64Array,
    first: number,
    count: number,
  ): boolean;
  /** The number of mismatches; -1 if one of the arrays is not as long as that any more. */
  takeChecksums(
    queue: number,
    place: number,
    count: number,
    first: number,
    out: BigUint64Array | null,
    mismatches: Uint32Array | null,
  ): number;
  /** Copies to a slab and does what a queue does to the blocks; the number of mismatches, or -1 as above. */
  copyChecksummed(
    unit: number,
    source: Uint8Array,
    start: number,
    length: number,
    flags: number,
    blockBytes: number,
    seedLow: number,
    seedHigh: number,
    blockNumber: number,
    first: number,
    expected: BigUint64Array | null,
    out: BigUint64Array | null,
    mismatches: Uint32Array | null,
  ): number;
  /** By part: how many slabs of each class there are, and how many were taken for want of any in another part. */
  poolStats(): {
    readonly parts: readonly { readonly slabs: readonly number[]; readonly remote: number }[];
    /** Of what is free in one piece. */
    readonly largestFreeBytes: number;
  };
}

/** How the addon was compiled. */
export interface NativeBuild {
  /** False in a debug build. */
  readonly optimized: boolean;
  /** By name, such as `AddressSanitizer`; empty: none. */
  readonly sanitizer: string;
}

/**
 * What takes data returns `undefined` when it has computed, with the result in the block in place of the seed, and `true`
 * if there was nothing to hash (native/node/checksum_functions.cc).
 */
interface NativeChecksums {
  /** Two words of 64 bits. */
  readonly block: ArrayBuffer;
  readonly simd: {
    readonly level: 'portable' | 'sse42' | 'avx512' | 'armv8';
    readonly xxh3: 'baseline' | 'avx2' | 'avx512' | undefined;
    readonly remarks: string;
  };
  readonly crc32c: (data: unknown) => true | undefined;
  readonly crc64nvme: (data: unknown) => true | undefined;
  /** Both CRCs are in the block, the result in place of the first. */
  readonly combineCrc32c: (bytesB: number) => void;
  readonly combineCrc64nvme: (bytesB: number) => void;
  /** The three are missing in a build without xxHash. */
  readonly xxh3?: (data: unknown) => true | undefined;
  /** `state`: `xxh3StateBytes` bytes, all zero at the beginning but for the seed, their second word. */
  readonly xxh3Update?: (state: unknown, data: unknown) => true | undefined;
  readonly xxh3Digest?: (state: unknown) => true | undefined;
  readonly xxh3StateBytes: number;
}

interface NativeKernel {
  readonly name: string;
  /** Empty if this machine runs it. */
  readonly whyNot: string;
}

/** What native/node/probe.h finds; an errno of 0 says that it works. */
export interface NativeProbe {
  readonly uring: NativeFailure;
  readonly uringFeatures: readonly NativeFeature[];
  readonly aio: NativeFailure;
  readonly affinity: NativeFailure;
  /** CPUs of a thread, before and after it was bound to the first of them. */
  readonly cpus: readonly number[];
  readonly cpusBound: readonly number[];
  readonly ioPriority: NativeFailure;
  readonly simd: {
    readonly crc: string;
    readonly crcKernels: readonly NativeKernel[];
    readonly xxh3: string;
    /** Why RINGBOLT_SIMD was not obeyed; or empty. */
    readonly note: string;
  };
  /** Of the path, opened for reading, if there is one. */
  readonly file?: NativeFailure & {
    readonly direct: boolean;
    readonly alignment: number;
    readonly remarks: string;
  };
}

interface Addon {
  readonly probe: (path?: string) => Promise<NativeProbe | NativeFailure>;
  readonly Engine: new (
    options: NativeEngineOptions,
    deliver: (queue: number, count: number) => void,
  ) => NativeEngine;
  readonly checksum: NativeChecksums;
  readonly layout: Readonly<Record<string, number>>;
  readonly build: NativeBuild;
}

/** dist/lib/native.js: the package's root is two folders up. */
const PACKAGE_ROOT = path.join(__dirname, '..', '..');

// Has no types of its own.
const nodeGypBuild = createRequire(__filename)('node-gyp-build') as {
  (folder: string): Addon;
  /** The file that it loads. */
  resolve: (folder: string) => string;
};

function load(): Addon {
  const addon = nodeGypBuild(PACKAGE_ROOT);
  for (const [name, value] of Object.entries(LAYOUT)) {
    if (addon.layout[name] !== value) {
      throw new Error(
        `ringbolt's addon does not match its JavaScript (${name} is ${String(addon.layout[name])}, ` +
          `expected ${value}): build it again with "npm rebuild ringbolt"`,
      );
    }
  }
  return addon;
}

const addon = load();

export const NativeEngine = addon.Engine;
export const NATIVE_BUILD: NativeBuild = addon.build;
export const NativeChecksum = addon.checksum;

/** Whether the addon was built with xxHash. */
export const haveXxh3 = addon.checksum.xxh3 !== undefined;

export const probeNative = addon.probe;

/** Where the addon was loaded from, relative to the package. */
export function addonFile(): string {
  return path.relative(PACKAGE_ROOT, nodeGypBuild.resolve(PACKAGE_ROOT));
}

export function isFailure(outcome: object): outcome is NativeFailure {
  return 'errno' in outcome && outcome.errno !== 0;
}
