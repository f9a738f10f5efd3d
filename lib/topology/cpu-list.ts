// The kernel's lists of CPUs and nodes, such as `0-3,8,10-11`.

const MAX_CPU = 8191;

/**
 * Parses a list; an empty one is a list. Numbers above 8191 are left out.
 *
 * @throws Error if the kernel does not write lists like that: it writes them ascending, so they are never long
 */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  let next = 0;
  for (const range of text.trim().split(',')) {
    if (range === '') continue;
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (!(first >= next && last >= first)) {
      throw new Error(`not a CPU list: ${text.slice(0, 100)}`);
    }
    for (let cpu = first; cpu <= Math.min(last, MAX_CPU); cpu++) cpus.push(cpu);
    next = last + 1;
  }
  return cpus;
}

/** Undefined if there is no text, or it is no list. */
export function tryParseCpuList(text: string | undefined): number[] | undefined {
  try {
    return text === undefined ? undefined : parseCpuList(text);
  } catch {
    return undefined;
  }
}

/** Writes ascending numbers as the kernel does. */
export function formatCpuList(cpus: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const cpu of cpus) {
    const range = ranges.at(-1);
    if (range?.last === cpu - 1) range.last = cpu;
    else ranges.push({ first: cpu, last: cpu });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join();
}

/** Those of `cpus` that are among `others`. */
export function intersectCpus(cpus: readonly number[], others: readonly number[]): number[] {
  const among = new Set(others);
  return cpus.filter((cpu) => among.has(cpu));
}

/** Those of `cpus` that are not among `others`. */
export function exceptCpus(cpus: readonly number[], others: readonly number[]): number[] {
  const among = new Set(others);
  return cpus.filter((cpu) => !among.has(cpu));
}
