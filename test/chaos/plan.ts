import type { Generator } from '../generator.js';

export type Direction = 'toServer' | 'toClient';

/**
 * What can befall a link behind a `ChaosProxy`:
 *
 * - `FIN`: the client is told goodbye; what it still sends is passed on.
 * - `half`: the server is told goodbye; what the client still sends is taken, and lost.
 * - `close`: the client's socket is closed as `close(2)` does it: a goodbye, and a reset for what comes after it.
 * - `RST`: the client's socket is reset.
 * - `silence`: nothing more is passed on until the client says goodbye or gives up.
 * - `stall`: nothing moves for a while, then all goes on.
 */
export const TROUBLES = ['FIN', 'half', 'close', 'RST', 'silence', 'stall'] as const;
export type Trouble = (typeof TROUBLES)[number];

/** What befalls one link. */
export interface Misfortune {
  /** How bytes are moved: as they come, the first ones singly, or each chunk after a delay. */
  readonly pace: 'at once' | 'trickle' | 'delay';
  /** Milliseconds that each chunk is delayed by. */
  readonly delay: number;
  readonly trouble: Trouble | undefined;
  /** How many bytes of this direction are passed on before the trouble; or it comes before the server is dialled. */
  readonly after: number | 'accept';
  readonly direction: Direction;
  /** Not a byte more is passed on, which is mostly in the middle of a chunk; if not, the rest of that chunk is. */
  readonly exactly: boolean;
}

export const CALM: Misfortune = {
  pace: 'at once',
  delay: 0,
  trouble: undefined,
  after: 0,
  direction: 'toServer',
  exactly: true,
};

/** Troubles that can come before there is a server to be cut off. */
const EARLY: readonly Trouble[] = ['FIN', 'close', 'RST', 'silence'];

/** Draws what befalls a link: some trouble of these, or, seldom, silence or a stall. */
export function misfortune(random: Generator, troubles: readonly Trouble[]): Misfortune {
  const trouble = random.chance(0.06) ? random.oneOf(['silence', 'stall'] as const) : random.oneOf(troubles);
  return {
    pace: random.chance(0.7) ? 'at once' : random.oneOf(['trickle', 'delay'] as const),
    delay: random.between(1, 8),
    trouble,
    // As often few bytes as many.
    after: random.chance(0.1) && EARLY.includes(trouble) ? 'accept' : random.between(0, 2 ** random.between(0, 15)),
    direction: random.oneOf(['toServer', 'toClient'] as const),
    exactly: random.chance(0.7),
  };
}
