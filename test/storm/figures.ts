import { BIN, type Storm } from './simulate.js';

/** Seconds after the server's death that are not judged: everybody's first redials are close together by design. */
const BURST = 5;
const BINS = 1_000 / BIN;

/** The arrivals of a stretch of time. */
export interface Phase {
  /** For each second. */
  readonly mean: number;
  /** The most in any second. */
  readonly second: number;
  /** The most in any tenth of a second. */
  readonly tenth: number;
  /** How many times as dense as the mean the densest tenth is: 1 is perfectly even. */
  readonly peakOverMean: number;
}

export interface Figures {
  /** From the server's death until all were back. */
  readonly attempts: number;
  /** While the server is down, but for the first seconds. */
  readonly waiting: Phase;
  /** The second half of the server's absence. */
  readonly settled: Phase;
  /** From the server's return until all were back. */
  readonly returning: Phase;
  /** Seconds since the server's return until so many per cent of the clients were back. */
  readonly back: { readonly 50: number; readonly 99: number; readonly 100: number };
}

export function figures({ outage, arrivals, back }: Storm): Figures {
  const { seconds } = outage;
  const part = (from: number, to: number): Phase => phase(arrivals.slice(from * BINS, to * BINS));
  const after = (share: number): number => (back[Math.ceil(share * back.length) - 1] ?? Infinity) / 1_000;
  return {
    attempts: sum(arrivals),
    waiting: part(BURST, seconds),
    settled: part(seconds / 2, seconds),
    returning: part(seconds, Infinity),
    back: { 50: after(0.5), 99: after(0.99), 100: after(1) },
  };
}

/** What arrived in each second since the server's death. */
export const perSecond = ({ arrivals }: Pick<Storm, 'arrivals'>): number[] =>
  Array.from({ length: Math.ceil(arrivals.length / BINS) }, (_, second) =>
    sum(arrivals.slice(second * BINS, (second + 1) * BINS)),
  );

function phase(arrivals: readonly number[]): Phase {
  const mean = (sum(arrivals) / arrivals.length) * BINS;
  const tenth = Math.max(...arrivals);
  return { mean, second: Math.max(...perSecond({ arrivals })), tenth, peakOverMean: (tenth * BINS) / mean };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
