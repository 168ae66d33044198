import type { Figures } from './figures.js';

/** One contender in one outage. */
export interface Result {
  readonly name: string;
  /** Seconds that the server was away. */
  readonly seconds: number;
  readonly figures: Figures;
  /** What arrived in each second since the server's death. */
  readonly perSecond: readonly number[];
}

const LEVELS = ' ▁▂▃▄▅▆▇█';
/** Columns of a whole sparkline. */
const WIDTH = 90;

export const count = (value: number): string => Math.round(value).toLocaleString('en-US');

/** A word for the length of an outage. */
export const duration = (seconds: number): string => (seconds < 120 ? `${seconds} s` : `${seconds / 60} min`);

/** The arrivals of all contenders in one outage: drawn on a logarithmic scale, and in figures. */
export function summary(results: readonly Result[], clients: number): string {
  const { seconds } = results[0]!;
  const most = Math.max(...results.flatMap(({ perSecond }) => perSecond));
  const longest = Math.max(...results.map(({ perSecond }) => perSecond.length));
  const span = Math.max(1, Math.ceil(longest / WIDTH));
  const returned = ' '.repeat(Math.floor(seconds / span));
  return [
    `== ${count(clients)} clients, the server is away for ${duration(seconds)} ==`,
    `arrivals each second (logarithmic, up to ${count(most)}; a column is the densest of ${span} s)`,
    ...results.map(({ name, perSecond }) => `${name.padEnd(20)}${sparkline(perSecond, span, most)}`),
    `${' '.repeat(20)}${returned}^ the server is back`,
    table([...HEAD, ...results.map(row)]),
  ].join('\n');
}

/** The arrivals of each second, one a line. */
export function full(results: readonly Result[]): string {
  const longest = Math.max(...results.map(({ perSecond }) => perSecond.length));
  const lines = Array.from({ length: longest }, (_, second) => [
    String(second),
    ...results.map(({ perSecond }) => (second < perSecond.length ? count(perSecond[second]!) : '')),
  ]);
  return table([['second', ...results.map(({ name }) => name)], ...lines]);
}

const HEAD = [
  ['', 'all', 'from 5 s:', '', '', '2nd half:', '', 'returning:', '', '', 'back:', '', ''],
  [
    'arrivals', '', 'mean/s', 'peak/s', 'peak/mean', 'peak/s', 'peak/mean',
    'peak/s', 'peak/0.1 s', 'peak/mean', '50 %', '99 %', 'all',
  ],
];

function row({ name, figures }: Result): string[] {
  const { attempts, waiting, settled, returning, back } = figures;
  const times = (value: number): string => value.toFixed(1);
  return [
    name, count(attempts),
    count(waiting.mean), count(waiting.second), times(waiting.peakOverMean),
    count(settled.second), times(settled.peakOverMean),
    count(returning.second), count(returning.tenth), times(returning.peakOverMean),
    ...[back[50], back[99], back[100]].map((time) => `${time.toFixed(1)} s`),
  ];
}

function sparkline(perSecond: readonly number[], span: number, most: number): string {
  const columns = Array.from({ length: Math.ceil(perSecond.length / span) }, (_, column) =>
    Math.max(...perSecond.slice(column * span, (column + 1) * span)),
  );
  const level = (value: number): number => Math.ceil((Math.log1p(value) / Math.log1p(most)) * (LEVELS.length - 1));
  return columns.map((value) => LEVELS[level(value)]).join('');
}

/** The first column to the left, figures to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  return rows.map(line).join('\n');
}
