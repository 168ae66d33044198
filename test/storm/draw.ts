import { count, duration, type Result } from './print.js';

const PANEL = { width: 250, height: 84 };
const GAP = { x: 20, y: 40 };
const LEFT = 175;
const TOP = 62;
const FOOT = 24;
/** Arrivals a second at the top of a panel, and those with a line: the scale is logarithmic, and begins at 1. */
const MOST = 50_000;
const LINES = [10, 100, 1_000, 10_000];

const NOTE =
  'Dashed: the server is back. The mean is that of the second half of its absence, set against the densest 0.1 s of it.';

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-weight: 600; fill: #1f2328 }
  .small { font-size: 11px }
  .frame { fill: #f6f8fa }
  .line { stroke: #d0d7de; stroke-width: .5 }
  .back { stroke: #cf222e; stroke-dasharray: 3 2 }
  .arrivals { fill: #8c959f }
  .first .arrivals { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title { fill: #f0f6fc }
    .frame { fill: #151b23 }
    .line { stroke: #3d444d }
    .back { stroke: #f85149 }
    .arrivals { fill: #656c76 }
    .first .arrivals { fill: #4493f8 }
  }
`;

/** The arrivals each second as small multiples: a column for each outage, a row for each contender. */
export function draw(outages: readonly (readonly Result[])[], clients: number): string {
  const contenders = outages[0]!.map(({ name }) => name);
  const x = (column: number): number => LEFT + column * (PANEL.width + GAP.x);
  const y = (row: number): number => TOP + row * (PANEL.height + GAP.y);
  const [width, height] = [x(outages.length), y(contenders.length) + FOOT];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>Connection attempts each second of ${count(clients)} clients that lost their server</title>`,
    `<style>${STYLE}</style>`,
    text(0, 16, `${count(clients)} clients lose their server: attempts each second, on a logarithmic scale`, 'title'),
    ...contenders.flatMap((name, row) => [
      text(0, y(row) + PANEL.height / 2 + 4, name, 'title'),
      ...LINES.map((value) => text(LEFT - 6, y(row) + up(value) + 3, short(value), 'small', 'end')),
    ]),
    ...outages.flatMap((results, column) => {
      const longest = Math.max(...results.map(({ perSecond }) => perSecond.length));
      return [
        text(x(column), TOP - 10, `away for ${duration(results[0]!.seconds)}`, 'title'),
        ...results.map((result, row) => panel(result, longest, x(column), y(row), row === 0)),
      ];
    }),
    text(LEFT, height - FOOT / 2, NOTE, 'small'),
    '</svg>\n',
  ].join('\n');
}

function panel({ seconds, perSecond, figures }: Result, longest: number, x: number, y: number, first: boolean): string {
  const scale = PANEL.width / longest;
  const back = round(seconds * scale);
  const caption = `${times(figures.settled.peakOverMean)} the mean · all back after ${figures.back[100].toFixed(0)} s`;
  return [
    `<g transform="translate(${x} ${y})"${first ? ' class="first"' : ''}>`,
    `<rect class="frame" width="${PANEL.width}" height="${PANEL.height}"/>`,
    ...LINES.map((value) => `<path class="line" d="M0 ${up(value)}h${PANEL.width}"/>`),
    `<path class="arrivals" d="${outline(perSecond, scale)}"/>`,
    `<path class="back" d="M${back} -4V${PANEL.height + 4}"/>`,
    text(0, PANEL.height + 16, caption, 'small'),
    '</g>',
  ].join('\n');
}

/** A column for each second. */
function outline(perSecond: readonly number[], scale: number): string {
  let path = `M0 ${PANEL.height}`;
  let level = PANEL.height;
  perSecond.forEach((value, second) => {
    if (up(value) === level) return;
    level = up(value);
    path += `H${round(second * scale)}V${level}`;
  });
  return `${path}H${round(perSecond.length * scale)}V${PANEL.height}Z`;
}

/** Where so many arrivals a second are, from the top of a panel. */
const up = (value: number): number =>
  value < 1 ? PANEL.height : round(PANEL.height * (1 - Math.min(1, Math.log(value) / Math.log(MOST))));

const round = (value: number): number => Math.round(value * 10) / 10;

const times = (value: number): string => `up to ${value < 10 ? value.toFixed(1) : count(value)} ×`;

const short = (value: number): string => (value < 1_000 ? String(value) : `${value / 1_000}k`);

const text = (x: number, y: number, content: string, style: string, anchor = 'start'): string =>
  `<text x="${x}" y="${round(y)}" class="${style}"${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}>${content}</text>`;
