import * as assert from 'uvu/assert';
import { suite } from '../suite.js';
import { contenders } from './contenders/index.js';
import { type Round, summarize } from './results.js';
import { spread } from './statistics.js';
import { table } from './table.js';
import { type Workload, workloads } from './workloads.js';

const test = suite('bench results');

const workload: Workload = {
  name: 'read',
  title: 'bytes',
  job: { kind: 'read' },
  rounds: 3,
  times: { warmUp: 0, measured: 0 },
  server: ['flood', 64],
  unit: 'B/s',
  figures: ['rate', 'cpu'],
  comparisons: [
    { of: 'rate', to: 'raw', bars: { ours: { atLeast: 2.5 }, raw: { atLeast: 1 } } },
    { of: 'cpu', to: 'raw', bars: { ours: { atMost: 0.45 }, raw: { atMost: 1 } } },
  ],
  contenders: ['raw', 'ours', 'broken'],
};

/** A machine that gets slower and slower: only within a round can two be compared. */
const rounds: Round[] = [
  { raw: { rate: 4_000, cpu: 1 }, ours: { rate: 8_000, cpu: 0.4 }, broken: { rate: 1, cpu: 1 } },
  { raw: { rate: 1_000, cpu: 2 }, ours: { rate: 3_000, cpu: 1 } },
  { raw: { rate: 10, cpu: 4 }, ours: { rate: 10, cpu: 4 } },
];

const summarized = () =>
  summarize(workload, rounds, (contender) =>
    contender === 'broken' ? { problem: 'it broke' } : { note: `about ${contender}` },
  );

test('the spread of an odd count, an even count, one, none', () => {
  assert.equal(spread([10, 9, 100]), { median: 10, min: 9, max: 100 });
  assert.equal(spread([4, 1, 2, 100]), { median: 3, min: 1, max: 100 });
  assert.equal(spread([7]), { median: 7, min: 7, max: 7 });
  assert.is(spread([]), undefined);
});

test('ratios are made within each round, and held against the bars by their median', () => {
  const [raw, ours] = summarized().standings;
  assert.equal(ours!.figures.rate, { median: 3_000, min: 10, max: 8_000 });
  assert.equal(ours!.ratios, [
    { of: 'rate', to: 'raw', median: 2, min: 1, max: 3, bar: { atLeast: 2.5, met: false } },
    { of: 'cpu', to: 'raw', median: 0.5, min: 0.4, max: 1, bar: { atMost: 0.45, met: false } },
  ]);
  assert.equal(raw!.ratios, [
    { of: 'rate', to: 'raw', median: 1, min: 1, max: 1, bar: { atLeast: 1, met: true } },
    { of: 'cpu', to: 'raw', median: 1, min: 1, max: 1, bar: { atMost: 1, met: true } },
  ]);
});

test('a contender that broke keeps what it brought before', () => {
  const broken = summarized().standings[2]!;
  assert.is(broken.problem, 'it broke');
  assert.equal(broken.figures.rate, { median: 1, min: 1, max: 1 });
});

test('a contender, and a baseline, of which there is nothing', () => {
  const { standings } = summarize(workload, [{ ours: { rate: 1, cpu: 1 } }], () => ({}));
  assert.equal(standings.map(({ ratios }) => ratios), [[], [], []]);
  assert.match(table({ ...summarized(), standings }), /raw +– +–/);
});

test('the table tells figures, ratios with their spread, bars, problems and notes', () => {
  const lines = table(summarized()).split('\n');
  assert.is(lines[0], 'read: bytes');
  assert.match(lines[1]!, /B\/s +CPU s\/GB +rate × raw +cpu × raw/);
  assert.match(lines[2]!, /^  raw +1\.00k +2\.00 +1 +1  rate ≥ 1x raw: met; cpu ≤ 1x raw: met$/);
  assert.match(
    lines[3]!,
    /^  ours +3\.00k +1\.00 +2\.00 \(1\.00–3\.00\) +0\.50 \(0\.40–1\.00\)  rate ≥ 2\.5x raw: missed; cpu ≤ 0\.45x raw: missed$/,
  );
  assert.equal(lines.slice(5), ['  * raw: about raw', '  * ours: about ours', '  ! broken: it broke']);
});

test('the workloads name contenders that there are, baselines and bars that take part, and figures that are told', () => {
  for (const { name, comparisons, contenders: taking, figures } of workloads) {
    for (const contender of taking) assert.ok(contenders[contender], `${name}: ${contender}`);
    for (const { of, to, bars } of comparisons) {
      assert.ok(figures.includes(of), `${name}: ${of}`);
      for (const contender of [to, ...Object.keys(bars)]) assert.ok(taking.includes(contender), `${name}: ${contender}`);
    }
  }
});

test.run();
