import type { Comparison } from './gauge.js';
import type { Soak } from './soak.js';

const count = (number: number): string => Math.round(number).toLocaleString('en');
const figure = (number: number): string => (Number.isInteger(number) ? count(number) : number.toFixed(1));

/** Minutes and seconds. */
export const clock = (milliseconds: number): string => {
  const seconds = Math.round(milliseconds / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
};

/** Cells in columns: the first one to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  return rows.map(line).join('\n');
}

/** What happened, and how often. */
export function happened({ connections, restarts, tally }: Soak): string {
  const { accepted, links, struck, flushed, unflushed, refused, closed, lost, resent, bytesRead, bytesWritten } = tally;
  return columns(
    Object.entries({
      connections,
      'server restarts': restarts,
      'links accepted': accepted,
      'links that came up': links,
      'misfortunes that came': struck,
      'messages flushed': flushed,
      '  lost on their way, as the ledger explains': lost,
      'messages sent again': resent,
      'writes rejected as unflushed': unflushed,
      'writes refused or taken back': refused,
      'writes rejected as closed': closed,
      'bytes written': bytesWritten,
      'bytes read': bytesRead,
    }).map(([name, number]) => [name, count(number)]),
  );
}

/** What the gauges showed after the warm-up and at the end. */
export function compared(comparisons: readonly Comparison[]): string {
  if (comparisons.length === 0) return 'too few rounds to tell whether anything grew';
  const rows = comparisons.map(({ gauge, unit, before, after, most, grew }) => [
    unit ? `${gauge} (${unit})` : gauge,
    figure(before),
    figure(after),
    most === undefined ? '' : figure(most),
    most === undefined ? '' : grew ? 'GREW' : 'ok',
  ]);
  return columns([['', 'first', 'last', 'at most', ''], ...rows]);
}
