import { describeBar, type Ratio, type Result } from './results.js';
import { digits } from './table.js';
import type { Figure } from './workloads.js';

/** Pixels. */
const WIDTH = 880;
const MARGIN = 16;
const TOP = 62;
const GAP = 32;
const COLUMN = (WIDTH - 2 * MARGIN - GAP) / 2;
const NAMES = 134;
const NUMBERS = 44;
const ROW = 16;
/** The heading of a group: two lines of text, and some room. */
const HEAD = 46;
const FOOT = 16;
const PLOT = COLUMN - NAMES - NUMBERS;

interface Colours {
  readonly page: string;
  readonly ink: string;
  readonly faint: string;
  readonly grid: string;
  readonly ours: string;
  readonly other: string;
}

const LIGHT: Colours = {
  page: '#ffffff',
  ink: '#1f2328',
  faint: '#656d76',
  grid: '#d8dee4',
  ours: '#0969da',
  other: '#afb8c1',
};
const DARK: Colours = {
  page: '#0d1117',
  ink: '#e6edf3',
  faint: '#9198a1',
  grid: '#30363d',
  ours: '#4493f8',
  other: '#59636e',
};

const paint = ({ page, ink, faint, grid, ours, other }: Colours): string => `
  .page { fill: ${page} } text { fill: ${ink} } .faint { fill: ${faint} }
  .grid { stroke: ${grid} } .one { stroke: ${faint} } .spread { stroke: ${ink} } .bar { stroke: ${ink} }
  .ours { fill: ${ours} } .other { fill: ${other} }`;

const STYLE = `
  text { font: 11px system-ui, sans-serif } .title { font-size: 15px } .title, .name { font-weight: 600 }
  .end { text-anchor: end } .middle { text-anchor: middle }
  .bar { stroke-width: 2; stroke-dasharray: 2 2 }${paint(LIGHT)}
  @media (prefers-color-scheme: dark) {${paint(DARK)}
  }
`;

/** What stands under one heading: one figure of each contender against the same baseline. */
interface Group {
  readonly name: string;
  readonly title: string;
  readonly hint: string;
  readonly rows: readonly { readonly name: string; readonly ratio: Ratio }[];
}

const MEANINGS: Readonly<Record<Figure, string>> = {
  rate: 'rate, more is better',
  cpu: 'CPU for each byte, less is better',
  heap: 'heap, less is better',
  external: 'memory beside the heap, less is better',
};

function groupsOf({ name, title, standings }: Result): Group[] {
  const compared = standings.flatMap(({ ratios }) => ratios);
  // The first baseline of each figure: another one would only shift the same bars.
  const firsts = new Map([...compared].reverse().map(({ of }) => [of, compared.find((ratio) => ratio.of === of)!.to]));
  return [...firsts].reverse().map(([of, to]) => ({
    name,
    title,
    hint: `${MEANINGS[of]}; 1 is ${to}`,
    rows: standings.flatMap(({ contender, ratios }) => {
      const ratio = ratios.find((each) => each.of === of && each.to === to);
      return ratio === undefined || contender === to ? [] : [{ name: contender, ratio }];
    }),
  }));
}

const heightOf = ({ rows }: Group): number => HEAD + rows.length * ROW;

/** Groups one below the other, in two columns of about the same height. */
function inColumns(groups: readonly Group[]): [Group[], Group[]] {
  const columns: [Group[], Group[]] = [[], []];
  const half = groups.reduce((sum, group) => sum + heightOf(group), 0) / 2;
  let height = 0;
  for (const group of groups) {
    columns[height + heightOf(group) / 2 < half ? 0 : 1].push(group);
    height += heightOf(group);
  }
  return columns;
}

/** Where a ratio lies between the left and the right of the plot: by its logarithm, so that 2 is as far from 1 as ½. */
function scaleOf(groups: readonly Group[]): { x: (ratio: number) => number; ticks: readonly number[] } {
  const all = groups.flatMap(({ rows }) => rows.flatMap(({ ratio: { min, max } }) => [min, max]));
  const least = Math.floor(Math.log2(Math.min(0.5, ...all)));
  const most = Math.ceil(Math.log2(Math.max(2, ...all)));
  const x = (ratio: number): number => ((Math.log2(ratio) - least) / (most - least)) * PLOT;
  const ticks = Array.from({ length: most - least + 1 }, (_, index) => least + index).filter((power) => power % 2 === 0);
  return { x, ticks: ticks.map((power) => 2 ** power) };
}

const fraction = (power: number): string => (power < 1 ? `1/${1 / power}` : String(power));
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
const round = (pixels: number): number => Math.round(pixels * 10) / 10;

/** @param name - in bold before it */
const text = (x: number, y: number, content: string, kind = '', name = ''): string => {
  const bold = name && `<tspan class="name">${escaped(name)}</tspan>\u2002`;
  return `<text x="${round(x)}" y="${round(y)}" class="${kind}">${bold}${escaped(content)}</text>`;
};

const line = (x: number, y: number, toX: number, toY: number, kind: string): string =>
  `<line x1="${round(x)}" y1="${round(y)}" x2="${round(toX)}" y2="${round(toY)}" class="${kind}"/>`;

/**
 * All ratios as horizontal bars on a logarithmic scale, from the baseline at 1 to the median, with a line from the least to
 * the most, and a dashed one where a bar is set. Plain SVG for light and dark.
 */
export function chart(results: readonly Result[], caption: string): string {
  const groups = results.flatMap(groupsOf).filter(({ rows }) => rows.length > 0);
  const { x, ticks } = scaleOf(groups);
  const columns = inColumns(groups);
  const height = TOP + FOOT + Math.max(...columns.map((column) => column.reduce((sum, group) => sum + heightOf(group), 0)));

  const drawRow = ({ name, ratio }: Group['rows'][number], left: number, y: number): string[] => {
    const { median, min, max, bar } = ratio;
    const [from, to] = [Math.min(1, median), Math.max(1, median)];
    const middle = y + ROW / 2;
    const at = (value: number): number => left + NAMES + x(value);
    const limit = bar && ('atLeast' in bar ? bar.atLeast : bar.atMost);
    const told = bar ? `${name}: ${digits(median)}, bar ${describeBar(bar)}` : `${name}: ${digits(median)}`;
    const shape = `x="${round(at(from))}" y="${y + 3}" width="${round(x(to) - x(from))}" height="${ROW - 6}"`;
    return [
      text(left + NAMES - 8, middle + 4, name, name.startsWith('ours') ? 'end name' : 'end'),
      `<rect ${shape} class="${name.startsWith('ours') ? 'ours' : 'other'}"><title>${escaped(told)}</title></rect>`,
      line(at(min), middle, at(max), middle, 'spread'),
      ...(limit === undefined ? [] : [line(at(limit), y, at(limit), y + ROW, 'bar')]),
      text(left + COLUMN, middle + 4, digits(median), 'end'),
    ];
  };

  const drawGroup = (group: Group, left: number, top: number): string[] => {
    const [first, last] = [top + HEAD - 10, top + heightOf(group) - 10];
    return [
      text(left, top + 10, group.title, '', group.name),
      text(left, top + 24, group.hint, 'faint'),
      ...ticks.map((tick) => line(left + NAMES + x(tick), first, left + NAMES + x(tick), last, tick === 1 ? 'one' : 'grid')),
      ...group.rows.flatMap((row, index) => drawRow(row, left, first + index * ROW)),
    ];
  };

  const drawColumn = (column: readonly Group[], left: number): string[] => {
    let top = TOP;
    const drawn = column.flatMap((group) => {
      const lines = drawGroup(group, left, top);
      top += heightOf(group);
      return lines;
    });
    return [...drawn, ...ticks.map((tick) => text(left + NAMES + x(tick), top + 4, fraction(tick), 'faint middle'))];
  };

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>Benchmarks of recon: ratios to a baseline</title>`,
    `<style>${STYLE}</style>`,
    `<rect width="100%" height="100%" class="page"/>`,
    text(MARGIN, 26, 'recon beside raw sockets and its peers', 'title'),
    text(MARGIN, 44, caption, 'faint'),
    ...columns.flatMap((column, index) => drawColumn(column, MARGIN + index * (COLUMN + GAP))),
    '</svg>\n',
  ].join('\n');
}
