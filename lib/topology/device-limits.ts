// What a disk takes and how its queue is set up (Documentation/ABI/stable/sysfs-block).

import path from 'node:path';
import { readFlag, readNumber, readText } from './sysfs.js';

/** What the kernel does not tell is left out: files differ between its versions and kinds of devices. */
export interface DeviceLimits {
  /** The unit of direct I/O, bytes. */
  readonly logicalBlockBytes?: number;
  /** What it writes without reading first, bytes. */
  readonly physicalBlockBytes?: number;
  /** Of memory, bytes (Linux 6.0). */
  readonly dmaAlignmentBytes?: number;
  /** Of one request, bytes: larger operations are split. */
  readonly maxTransferBytes?: number;
  /** What `maxTransferBytes` could be raised to, bytes. */
  readonly maxHardwareTransferBytes?: number;
  /** Separate pieces of memory in one request. */
  readonly maxSegments?: number;
  /** What it would rather have, bytes; not there where it does not mind. */
  readonly optimalIoBytes?: number;
  readonly rotational?: boolean;
  /** `write back`: flushes are needed and cost time. */
  readonly writeCache?: 'write back' | 'write through';
  /** `none` where there is none; not there for devices that hand every request on as it is. */
  readonly scheduler?: string;
  /** `none`, `host-aware` or `host-managed`. */
  readonly zoned?: string;
  readonly readAheadBytes?: number;
  /** Requests that the scheduler holds for each hardware queue. */
  readonly requests?: number;
}

const WRITE_CACHES = ['write back', 'write through'] as const;

/** `disk` is the folder in sysfs of a whole disk. */
export function readLimits(disk: string): DeviceLimits {
  const file = (name: string) => path.join(disk, 'queue', name);
  const number = (name: string, min = 1) => readNumber(file(name), min);
  const kibibytes = (name: string, min?: number) => times(number(name, min), 1024);
  const dmaMask = number('dma_alignment', 0);
  const writeCache = readText(file('write_cache'));
  return withoutUndefined({
    logicalBlockBytes: number('logical_block_size'),
    physicalBlockBytes: number('physical_block_size'),
    dmaAlignmentBytes: dmaMask === undefined ? undefined : dmaMask + 1,
    maxTransferBytes: kibibytes('max_sectors_kb'),
    maxHardwareTransferBytes: kibibytes('max_hw_sectors_kb'),
    maxSegments: number('max_segments'),
    optimalIoBytes: number('optimal_io_size'),
    rotational: readFlag(file('rotational')),
    writeCache: WRITE_CACHES.find((one) => one === writeCache),
    scheduler: activeScheduler(readText(file('scheduler'))),
    zoned: oneWord(readText(file('zoned'))),
    readAheadBytes: kibibytes('read_ahead_kb', 0),
    requests: number('nr_requests'),
  });
}

function times(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}

/** `none [mq-deadline] kyber`: the one in brackets. */
export function activeScheduler(text: string | undefined): string | undefined {
  return oneWord(/\[([^\]]+)\]/.exec(text ?? '')?.[1] ?? text);
}

/** Nothing that could fill a screen, or steer a terminal. */
function oneWord(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w.-]{1,32}$/.test(text) ? text : undefined;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
}
