import type { Message } from './contender.js';
import { peers } from './contenders/index.js';

/** What is measured: units of the job by the second, seconds of CPU for each 10⁹ units, bytes for each connection. */
export type Figure = 'rate' | 'cpu' | 'heap' | 'external';

export type Sample = Partial<Record<Figure, number>>;

/** What a ratio is held against. Nothing fails on it: it is told beside the ratio. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number };

/** Each contender's figure against that of one of them, the baseline, in the same round. */
export interface Comparison {
  readonly of: Figure;
  readonly to: string;
  readonly bars: Readonly<Record<string, Bar>>;
}

/** What the client does; see {@link Contender}. */
export type Job =
  | { readonly kind: 'write'; readonly message: Message; readonly window: number }
  | { readonly kind: 'exchange'; readonly message: Message }
  | { readonly kind: 'read' }
  | { readonly kind: 'readLines' }
  | { readonly kind: 'idle'; readonly connections: number };

/** Milliseconds. */
export interface Times {
  readonly warmUp: number;
  readonly measured: number;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly job: Job;
  readonly times: Times;
  /** How many, unless told: the noisier it is, the more. */
  readonly rounds: number;
  /** The server's behaviour, and its argument. */
  readonly server: readonly [behaviour: string, size?: number];
  /** What the rate counts. */
  readonly unit: string;
  /** What is told of each contender. */
  readonly figures: readonly Figure[];
  /** The first for each figure is the one that the chart shows. */
  readonly comparisons: readonly Comparison[];
  readonly contenders: readonly string[];
}

const KIB = 1_024;
const ROUNDS = 10;
const SHORT: Times = { warmUp: 400, measured: 500 };
/** Reading in bulk goes by fits and starts: windows grow, and the collector comes by every few milliseconds. */
const LONG: Times = { warmUp: 1_000, measured: 1_000 };
const WINDOW = 1_000;
const SMALL = 'x'.repeat(64);

const writes = { rounds: ROUNDS, times: SHORT, server: ['discard'], unit: 'messages/s', figures: ['rate'] } as const;
const reads = { job: { kind: 'read' }, unit: 'B/s', figures: ['rate', 'cpu'] } as const;
const readers = ['raw for await', 'raw callbacks', 'ours'];

/** Reading in bulk should be faster than Node's own loop, and cheaper. */
const bulk: readonly Comparison[] = [
  { of: 'rate', to: 'raw for await', bars: { ours: { atLeast: 1.1 } } },
  { of: 'cpu', to: 'raw for await', bars: { ours: { atMost: 0.85 } } },
];

export const workloads: readonly Workload[] = [
  {
    ...writes,
    name: 'write',
    title: `64-byte strings, a promise for each, ${WINDOW} at a time`,
    job: { kind: 'write', message: SMALL, window: WINDOW },
    comparisons: [
      // Like with like: ours have `noDelay`, too.
      { of: 'rate', to: 'raw loop, noDelay', bars: { ours: { atLeast: 25 } } },
      { of: 'rate', to: 'raw loop', bars: {} },
      { of: 'rate', to: 'raw, corked by hand', bars: { ours: { atLeast: 1 } } },
    ],
    contenders: ['raw loop, noDelay', 'raw loop', 'raw callbacks', 'raw, corked by hand', 'ours', ...peers],
  },
  {
    ...writes,
    rounds: 16,
    name: 'write-16k',
    title: `16 KiB buffers, a promise for each, ${WINDOW} at a time`,
    job: { kind: 'write', message: Buffer.alloc(16 * KIB, SMALL), window: WINDOW },
    comparisons: [{ of: 'rate', to: 'raw, corked by hand', bars: { ours: { atLeast: 0.95 } } }],
    contenders: ['raw, corked by hand', 'raw loop', 'raw callbacks', 'ours', ...peers],
  },
  {
    name: 'pingpong',
    title: '64-byte strings there and back, one at a time',
    job: { kind: 'exchange', message: SMALL },
    rounds: 16,
    // A trip takes so long that it takes a while until V8 has compiled all that it runs.
    times: { warmUp: 1_000, measured: 500 },
    server: ['echo'],
    unit: 'round trips/s',
    figures: ['rate'],
    comparisons: [{ of: 'rate', to: 'raw callbacks', bars: { ours: { atLeast: 0.95 } } }],
    contenders: ['raw callbacks', 'raw for await', 'ours', ...peers],
  },
  {
    ...reads,
    rounds: 18,
    times: LONG,
    name: 'read-256k',
    title: 'bytes, sent 256 KiB at a time',
    server: ['flood', 256 * KIB],
    comparisons: bulk,
    contenders: readers,
  },
  {
    ...reads,
    rounds: 18,
    times: LONG,
    name: 'read-64k',
    title: 'bytes, sent 64 KiB at a time',
    server: ['flood', 64 * KIB],
    comparisons: bulk,
    contenders: [...readers, ...peers],
  },
  {
    ...reads,
    rounds: 20,
    times: SHORT,
    name: 'read-1k',
    title: 'bytes, sent 1 KiB at a time',
    server: ['trickle', KIB],
    comparisons: [{ of: 'rate', to: 'raw for await', bars: { ours: { atLeast: 0.9 } } }],
    contenders: readers,
  },
  {
    name: 'lines',
    title: 'lines of 64 bytes',
    job: { kind: 'readLines' },
    rounds: ROUNDS,
    times: SHORT,
    server: ['flood', 64 * KIB],
    unit: 'lines/s',
    figures: ['rate'],
    comparisons: [{ of: 'rate', to: 'readline', bars: { ours: { atLeast: 1.6 }, 'ours, batches()': { atLeast: 3 } } }],
    contenders: ['readline', 'ours', 'ours, batches()'],
  },
  {
    name: 'idle',
    title: 'memory of each of 2,000 connections that wait for data',
    job: { kind: 'idle', connections: 2_000 },
    // What isn't timed comes out the same each time.
    rounds: 3,
    times: { warmUp: 0, measured: 0 },
    server: ['discard'],
    unit: '',
    figures: ['heap', 'external'],
    comparisons: [{ of: 'heap', to: 'raw', bars: { ours: { atMost: 1.5 } } }],
    contenders: ['raw', 'ours', ...peers],
  },
];
