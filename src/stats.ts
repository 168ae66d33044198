import type { Reason } from './errors.js';

/**
 * Where a connection is in its life: `opening` before its first link, `open` while a link is up, `reopening` while none
 * is, `closing` after `end()`, `closed`. It only tells: nothing is steered by it.
 */
export type ReadyState = 'opening' | 'open' | 'reopening' | 'closing' | 'closed';

/** Counters of a connection's whole life, as they are at the moment. */
export interface Stats {
  /** Links that came up. */
  readonly links: number;
  /** Attempts to bring one up. */
  readonly attempts: number;
  /** Bytes received, counted as they arrive. */
  readonly bytesRead: number;
  /** Bytes that the system has taken. */
  readonly bytesWritten: number;
  /**
   * Bytes received and never delivered. Messages that arrived together count as one: all their bytes, if any of them is
   * dropped; none, if bytes that could not be decoded came with them.
   */
  readonly bytesDiscarded: number;
  /**
   * Why the last attempt failed or the last link was lost, and in the end the error that ended the connection; undefined if
   * nothing has gone wrong yet. The plain goodbye of a peer, after a link that lasted, is nothing wrong.
   */
  readonly lastError: Reason | undefined;
}

/** @internal The counters themselves, which go on counting. */
export type Counters = { -readonly [name in keyof Stats]: Stats[name] };

/** @internal */
export const newCounters = (): Counters => ({
  links: 0,
  attempts: 0,
  bytesRead: 0,
  bytesWritten: 0,
  bytesDiscarded: 0,
  lastError: undefined,
});
