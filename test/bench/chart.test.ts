import * as assert from 'uvu/assert';
import { suite } from '../suite.js';
import { chart } from './chart.js';
import type { Ratio, Result } from './results.js';

const test = suite('bench chart');

const ratio = (median: number, bar?: Ratio['bar']): Ratio =>
  ({ of: 'rate', to: 'raw', median, min: median / 2, max: median * 2, bar });

/** One result, with a ratio to `raw` for each contender. */
const result = (ratios: Readonly<Record<string, Ratio>>, title = 'bytes'): Result => ({
  name: 'read',
  title,
  unit: 'B/s',
  rounds: [],
  standings: Object.entries(ratios).map(([contender, each]) => ({
    contender,
    problem: undefined,
    note: undefined,
    figures: {},
    ratios: [each],
  })),
});

/** The attributes of each element of this kind that has this class, as numbers where they are numbers. */
function elements(svg: string, name: string, kind: string): Record<string, number>[] {
  const tags = [...svg.matchAll(new RegExp(`<${name} ([^>]*class="${kind}"[^>]*?)/?>`, 'g'))];
  return tags.map(([, attributes]) =>
    Object.fromEntries([...attributes!.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, Number(value)])),
  );
}

/** Fails unless each element that is opened is closed, in order. */
function assertWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [tag, closing, name] of svg.matchAll(/<(\/?)([a-z]+)(?:\s+[\w:-]+="[^"<>&]*")*\s*\/?>/gi)) {
    if (closing) assert.is(open.pop(), name);
    else if (!tag.endsWith('/>')) open.push(name!);
  }
  assert.equal(open, []);
  // What is left between the elements is text: nothing of it may look like one.
  assert.not.match(svg.replace(/<\/?[a-z]+(?:\s+[\w:-]+="[^"<>&]*")*\s*\/?>/gi, ''), /[<>]|&(?!#\d+;)/);
}

test('bars go from the baseline to the median on a logarithmic scale, less to the left and more to the right', () => {
  const svg = chart([result({ raw: ratio(1), ours: ratio(4), other: ratio(1 / 4) })], '');
  const [ours] = elements(svg, 'rect', 'ours');
  const [other, ...more] = elements(svg, 'rect', 'other');
  assert.is(more.length, 0, 'the baseline has no bar');
  assert.ok(Math.abs(ours!['width']! - other!['width']!) < 0.2);
  assert.ok(ours!['width']! > 0);
  assert.ok(Math.abs(other!['x']! + other!['width']! - ours!['x']!) < 0.2);
});

test('the spread and the bar lie where they should', () => {
  const svg = chart([result({ ours: ratio(4, { atLeast: 8, met: false }) })], '');
  const [bar] = elements(svg, 'line', 'bar');
  const [spread] = elements(svg, 'line', 'spread');
  const [ours] = elements(svg, 'rect', 'ours');
  const doubling = ours!['width']! / 2;
  const end = ours!['x']! + ours!['width']!;
  assert.ok(Math.abs(spread!['x1']! - (end - doubling)) < 0.2);
  assert.ok(Math.abs(spread!['x2']! - (end + doubling)) < 0.2);
  assert.ok(Math.abs(bar!['x1']! - (end + doubling)) < 0.2);
  assert.match(svg, 'ours: 4.00, bar ≥ 8');
});

test('the chart is an XML document, whatever the names, with colours for light and dark', () => {
  const svg = chart([result({ 'ours <&> "mine"': ratio(2) }, 'a < b & c')], 'R&D <7>');
  assertWellFormed(svg);
  assert.match(svg, 'R&#38;D &#60;7&#62;');
  assert.match(svg, '@media (prefers-color-scheme: dark)');
});

test('many results stand in two columns, none outside the picture', () => {
  const many = Array.from({ length: 9 }, (_, index) => result({ ours: ratio(2 ** (index - 4)), other: ratio(1) }));
  const svg = chart(many, '');
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number) as [number, number, number];
  const lines = ['spread', 'grid', 'one'].flatMap((kind) => elements(svg, 'line', kind));
  assert.is(elements(svg, 'rect', 'ours').length, 9);
  for (const { x1, x2, y1, y2 } of lines as { x1: number; x2: number; y1: number; y2: number }[]) {
    assert.ok(x1 >= 0 && x2 <= width && y1 >= 0 && y2 <= height, `${x1}–${x2}, ${y1}–${y2}`);
  }
  const lefts = new Set(elements(svg, 'rect', 'ours').map(({ x }) => x! > width / 2));
  assert.is(lefts.size, 2);
});

test('nothing to show is still a picture', () => assertWellFormed(chart([], '')));

test.run();
