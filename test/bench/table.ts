import { describeBar, type Ratio, type Result, type Standing } from './results.js';
import type { Figure } from './workloads.js';

const UNITS: Readonly<Record<Exclude<Figure, 'rate'>, string>> = {
  cpu: 'CPU s/GB',
  heap: 'B of heap',
  external: 'B beside it',
};

/** Three digits that count, and the thousands by letter. */
export function short(value: number): string {
  const [scale, letter] = value >= 1e9 ? [1e9, 'G'] : value >= 1e6 ? [1e6, 'M'] : value >= 1e3 ? [1e3, 'k'] : [1, ''];
  return digits(value / scale) + letter;
}

export const digits = (value: number): string => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);

/** Columns side by side, as wide as they have to be: words first and last, numbers between them. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const isWords = (column: number): boolean => column === 0 || column === widths.length - 1;
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (isWords(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ');
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join('\n');
}

function ratioCell(contender: string, ratio: Ratio | undefined): string {
  if (ratio === undefined) return '–';
  if (ratio.to === contender) return '1';
  return `${digits(ratio.median)} (${digits(ratio.min)}–${digits(ratio.max)})`;
}

function barCell({ ratios }: Standing): string {
  const told = ratios.flatMap(({ bar, of, to }) =>
    bar ? `${of} ${describeBar(bar)}x ${to}: ${bar.met ? 'met' : 'missed'}` : [],
  );
  return told.join('; ');
}

/** The medians of the rounds, the ratios with their outermost values, and the bars beside those that have one. */
export function table({ name, title, unit, standings }: Result): string {
  const figures = [...new Set(standings.flatMap((standing) => Object.keys(standing.figures) as Figure[]))];
  const compared = standings.flatMap(({ ratios }) => ratios);
  const pairs = [...new Map(compared.map(({ of, to }) => [`${of} × ${to}`, { of, to }]))];
  const units = figures.map((figure) => (figure === 'rate' ? unit : UNITS[figure]));
  const head = ['', ...units, ...pairs.map(([label]) => label), ''];
  const rows = standings.map((standing) => [
    standing.contender,
    ...figures.map((figure) => (standing.figures[figure] ? short(standing.figures[figure].median) : '–')),
    ...pairs.map(([, { of, to }]) =>
      ratioCell(
        standing.contender,
        standing.ratios.find((ratio) => ratio.of === of && ratio.to === to),
      ),
    ),
    barCell(standing),
  ]);
  const remarks = standings.flatMap(({ contender, note, problem }) => [
    ...(problem === undefined ? [] : [`  ! ${contender}: ${problem}`]),
    ...(note === undefined ? [] : [`  * ${contender}: ${note}`]),
  ]);
  return [`${name}: ${title}`, aligned([head, ...rows]), ...remarks].join('\n');
}
