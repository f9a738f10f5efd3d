// Which instructions compute checksums here. Chosen when the addon is loaded, and the same ever after.

import { NativeChecksum } from '../native.js';
import type { SimdLevel } from './names.js';

export interface SimdInfo {
  /** Of the CRCs. `RINGBOLT_SIMD`, an environment variable, names the highest that may be chosen. */
  readonly level: SimdLevel;
  /** Of XXH3; `undefined` in a build without it. */
  readonly xxh3: 'baseline' | 'avx2' | 'avx512' | undefined;
  /** Why no higher level was chosen, in words; empty if there is none. */
  readonly remarks: string;
}

export const SIMD: SimdInfo = Object.freeze(NativeChecksum.simd);
