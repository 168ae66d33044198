import { spread, type Spread } from './statistics.js';
import type { Bar, Comparison, Figure, Sample, Workload } from './workloads.js';

/** What each contender brought in one round. */
export type Round = Readonly<Record<string, Sample>>;

/** How a contender does against a baseline. */
export interface Ratio extends Spread {
  readonly of: Figure;
  readonly to: string;
  readonly bar: (Bar & { readonly met: boolean }) | undefined;
}

/** What became of one contender. */
export interface Standing {
  readonly contender: string;
  /** Why there is nothing, or no more, of it. */
  readonly problem: string | undefined;
  readonly note: string | undefined;
  readonly figures: Readonly<Partial<Record<Figure, Spread>>>;
  readonly ratios: readonly Ratio[];
}

/** What became of one workload. */
export interface Result {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly standings: readonly Standing[];
  /** What all this was computed from. */
  readonly rounds: readonly Round[];
}

export interface Remarks {
  readonly problem?: string | undefined;
  readonly note?: string | undefined;
}

/** @param remarks - what there is to say of a contender besides its figures */
export function summarize(
  { name, title, unit, figures, comparisons, contenders }: Workload,
  rounds: readonly Round[],
  remarks: (contender: string) => Remarks,
): Result {
  const standings = contenders.map((contender): Standing => {
    const { problem, note } = remarks(contender);
    return {
      contender,
      problem,
      note,
      figures: Object.fromEntries(figures.map((figure) => [figure, figureOf(rounds, contender, figure)])),
      ratios: comparisons.flatMap((comparison) => ratioOf(rounds, contender, comparison) ?? []),
    };
  });
  return { name, title, unit, standings, rounds };
}

const figureOf = (rounds: readonly Round[], contender: string, figure: Figure): Spread | undefined =>
  spread(rounds.flatMap((round) => round[contender]?.[figure] ?? []));

/** Within each round, so that what drifts from one to the next hits both. */
function ratioOf(rounds: readonly Round[], contender: string, { of, to, bars }: Comparison): Ratio | undefined {
  const each = spread(
    rounds.flatMap((round) => {
      const [figure, baseline] = [round[contender]?.[of], round[to]?.[of]];
      return figure === undefined || baseline === undefined ? [] : figure / baseline;
    }),
  );
  const bar = bars[contender];
  return each && { of, to, ...each, bar: bar && { ...bar, met: isMet(bar, each.median) } };
}

const isMet = (bar: Bar, ratio: number): boolean => ('atLeast' in bar ? ratio >= bar.atLeast : ratio <= bar.atMost);

/** As it is said in tables and charts. */
export const describeBar = (bar: Bar): string => ('atLeast' in bar ? `≥ ${bar.atLeast}` : `≤ ${bar.atMost}`);
