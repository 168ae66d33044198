import * as random from '../random.js';

/** What can happen, how often, and whose doing it is. What each comes to is in `life.ts`. */
const STEPS = {
  write: { weight: 30, side: 'ours' },
  abort: { weight: 3, side: 'ours' },
  end: { weight: 2, side: 'ours' },
  destroy: { weight: 3, side: 'ours' },
  reconnect: { weight: 2, side: undefined },
  next: { weight: 15, side: undefined },
  nextOfLink: { weight: 6, side: undefined },
  leave: { weight: 3, side: undefined },
  dialled: { weight: 20, side: undefined },
  linked: { weight: 12, side: undefined },
  failAttempt: { weight: 8, side: undefined },
  take: { weight: 18, side: undefined },
  takeLate: { weight: 3, side: undefined },
  arrive: { weight: 20, side: 'theirs' },
  goodbye: { weight: 3, side: 'theirs' },
  fail: { weight: 3, side: 'theirs' },
} as const;

export interface Step {
  readonly name: keyof typeof STEPS;
  /** What they mean is the step's own affair. */
  readonly a: number;
  readonly b: number;
  /** The next one happens in the same tick, if it is of the same side. */
  readonly atOnce: boolean;
}

const NAMES = Object.entries(STEPS).flatMap(([name, { weight }]) => Array<Step['name']>(weight).fill(name as Step['name']));

export const anyStep = (): Step => ({
  name: random.oneOf(NAMES),
  a: random.between(0, 999),
  b: random.between(0, 999),
  atOnce: random.chance(0.4),
});

export function goOnAtOnce({ name, atOnce }: Step, next: Step | undefined): boolean {
  const { side } = STEPS[name];
  return atOnce && side !== undefined && next !== undefined && STEPS[next.name].side === side;
}
