import { contentNumber, type Dialect } from './dialects.js';
import type { Generator } from '../generator.js';

/**
 * How a write ended: `refused` had not begun (no room, or taken back) and must never arrive; `closed` met the end of the
 * connection, and may have arrived.
 */
export type Outcome = 'flushed' | 'unflushed' | 'refused' | 'closed';

interface Write {
  readonly n: number;
  outcome: Outcome | undefined;
  /** The number of the link on which it was settled; 0 as long as it is not. */
  link: number;
}

const isFlushed = ({ outcome }: Write): boolean => outcome === 'flushed';

/** What one link brought to the server, and what is known of it. */
export interface Brought {
  readonly link: number;
  readonly received: Buffer;
  /** The server got every byte that the client's system took, and the goodbye: nothing can be missing. */
  readonly whole: boolean;
  /** Bytes that the client's system took, where somebody has counted them. */
  readonly taken: number | undefined;
}

/** What became of the writes of one link. */
export interface Finding {
  readonly problems: string[];
  /** Flushed, and on its way when the link was cut. */
  readonly lost: number;
  /** Arrived, was not confirmed, and goes out again. */
  readonly resent: number;
}

/** The numbered messages that a client writes, and how each write ended. */
export class Writes {
  readonly #dialect: Dialect;
  readonly #random: Generator;
  readonly #unflushed: 'resend' | 'reject';
  /** What was written, in order, but for what the links checked so far have settled. */
  #queue: Write[] = [];
  #count = 0;

  constructor(dialect: Dialect, random: Generator, unflushed: 'resend' | 'reject') {
    this.#dialect = dialect;
    this.#random = random;
    this.#unflushed = unflushed;
  }

  /** Messages begun so far, refused ones too. */
  get count(): number {
    return this.#count;
  }

  /** Messages that belong to a link, and to none that was checked. */
  get left(): number {
    return this.#queue.filter(({ outcome }) => outcome !== 'refused' && outcome !== 'closed').length;
  }

  /** The next message, and whom to tell what became of it, on which link. */
  next(): { message: unknown; settle: (outcome: Outcome, link: number) => void } {
    const write: Write = { n: this.#count++, outcome: undefined, link: 0 };
    this.#queue.push(write);
    const settle = (outcome: Outcome, link: number): void => {
      write.outcome = outcome;
      write.link = link;
    };
    return { message: this.#message(write), settle };
  }

  /**
   * Checks what a link brought: the bytes of whole messages in the order in which they were written, beginning with the
   * first that no earlier link had settled, and at last a part of the next. Links are checked in their order.
   */
  check({ link, received, whole, taken }: Brought): Finding {
    const queue = this.#queue.filter(({ outcome }) => outcome !== 'refused');
    const end = queue.findIndex((write) => write.link !== link);
    const settled = end === -1 ? queue.length : end;
    const problems = this.#checkOrder(queue, settled, link);
    const { begun, arrived, problem } = this.#compare(queue, received);
    if (problem) problems.push(problem);

    const again = queue.slice(settled, begun).find(({ outcome }) => outcome !== 'closed');
    if (again && this.#unflushed === 'reject') problems.push(`message ${again.n} was begun, and not settled`);
    const missing = queue.slice(arrived, settled).filter(isFlushed);
    if (missing.length > 0 && whole) problems.push(`message ${missing[0]!.n} is missing, though everything was passed on`);
    if (taken !== undefined) {
      const flushed = queue.slice(0, settled).filter(isFlushed);
      const confirmed = flushed.reduce((sum, write) => sum + this.#bytes(write).length, 0);
      if (confirmed > taken) problems.push(`${confirmed} bytes were confirmed, of ${taken} that the system took`);
    }

    this.#queue = queue.slice(settled);
    return { problems, lost: missing.length, resent: Math.max(0, arrived - settled) };
  }

  /** What a link has settled are the first messages that were left: those that it flushed, then those that it did not. */
  #checkOrder(queue: readonly Write[], settled: number, link: number): string[] {
    const problems: string[] = [];
    const late = queue.slice(settled).find((write) => write.link !== 0 && write.link <= link);
    if (late) problems.push(`message ${late.n} was settled out of order`);
    const first = queue.findIndex((write) => !isFlushed(write));
    const confirmed = queue.slice(first === -1 ? settled : first, settled).find(isFlushed);
    if (confirmed) problems.push(`message ${confirmed.n} was confirmed, but not one before it`);
    return problems;
  }

  /** How many messages of the queue were begun in what was received, and how many arrived as a whole. */
  #compare(queue: readonly Write[], received: Buffer): { begun: number; arrived: number; problem?: string } {
    let at = 0;
    for (const [index, write] of queue.entries()) {
      const left = received.subarray(at);
      if (left.length === 0) return { begun: index, arrived: index };
      const expected = this.#bytes(write);
      const part = left.subarray(0, expected.length);
      if (!part.equals(expected.subarray(0, part.length))) {
        const problem = `the server got ${excerpt(part)} where message ${write.n} should be, after ${at} bytes`;
        return { begun: index, arrived: index, problem };
      }
      if (part.length < expected.length) return { begun: index + 1, arrived: index };
      at += expected.length;
    }
    const whole = { begun: queue.length, arrived: queue.length };
    return at === received.length ? whole : { ...whole, problem: `the server got ${received.length - at} bytes too many` };
  }

  #bytes(write: Write): Buffer {
    return this.#dialect.bytes(this.#message(write));
  }

  #message({ n }: Write): unknown {
    return this.#dialect.message(contentNumber(n, this.#random, this.#dialect.longest));
  }
}

/** A few bytes of what should not be there. */
export const excerpt = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1', 0, 60));
