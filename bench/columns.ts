// Text in columns. Numbers stand to the right, so that their digits line up.

export interface ColumnOptions {
  /** Indices of columns that are aligned to the right. */
  readonly right?: readonly number[];
}

const GAP = '  ';

/** Rows may be of different lengths; what is missing is empty. */
export function columns(
  rows: readonly (readonly string[])[],
  { right = [] }: ColumnOptions = {},
): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join(GAP)
      .trimEnd();
  return rows.map(line).join('\n');
}

/** Three or more digits that say something, and no more decimals than that needs. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value === 0) return '0';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
}

/** With separators between thousands. */
export function wholeNumber(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '-';
}
