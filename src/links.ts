import { performance } from 'node:perf_hooks';
import pRetry, { type Options as PRetryOptions } from 'p-retry';
import { isCertificateError, type Dialer } from './dial.js';
import { ReconError } from './errors.js';
import type { Counters, Retry } from './events.js';
import { type LinkContext, LiveLink } from './link.js';
import type { Settings } from './options.js';
import { within } from './promises.js';

export { AbortError } from 'p-retry';

export type LinksSettings<In, Out> = Pick<Settings<In, Out>, 'connectTimeout' | 'minUptime' | 'onLink' | 'retry'>;

export interface LinksParts<In, Out> {
  readonly settings: LinksSettings<In, Out>;
  readonly dialer: Dialer;
  readonly context: Omit<LinkContext<In, Out>, 'number'> & { readonly counters: Counters };
  readonly onRetry: (retry: Retry) => void;
}

/**
 * Brings one link after another, under p-retry.
 *
 * A round is one run of p-retry. Its function covers a link's whole life and rejects when the link died young, so
 * that p-retry itself goes on backing off. A link that lasted ends the round, and the next one starts at once.
 */
export class Links<In, Out> {
  readonly #parts: LinksParts<In, Out>;
  /** Aborts the round: its dial, its `onLink`, its wait. A link that is up is not concerned. */
  #round = new AbortController();
  #stopped = false;

  constructor(parts: LinksParts<In, Out>) {
    this.#parts = parts;
  }

  /** Lives each link that comes up, until stopped. Throws the error that no retry can mend, or the last one. */
  async each(live: (link: LiveLink<In, Out>) => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      this.#round = new AbortController();
      const { signal } = this.#round;
      try {
        await pRetry((attempt) => this.#attempt(attempt, signal, live), this.#backoff(signal));
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  /** Starts anew, with the backoff at its beginning. */
  redial(): void {
    this.#round.abort();
  }

  /** Brings no more links. */
  stop(): void {
    this.#stopped = true;
    this.#round.abort();
  }

  /** One attempt, and if it succeeds the whole life of its link. An aborted one has not failed: it returns. */
  async #attempt(attempt: number, signal: AbortSignal, live: (link: LiveLink<In, Out>) => Promise<void>): Promise<void> {
    const { counters } = this.#parts.context;
    let link: LiveLink<In, Out>;
    try {
      counters.attempts += 1;
      link = await this.#open(attempt, signal);
    } catch (error) {
      if (signal.aborted) return;
      counters.lastError = error;
      throw error;
    }
    if (signal.aborted) return link.destroy();
    await live(link);
    if (signal.aborted || link.uptime >= this.#parts.settings.minUptime) return;
    throw link.reason instanceof Error ? link.reason : goodbye(link);
  }

  /** Dials and lets `onLink` have its say, both within `connectTimeout`. */
  async #open(attempt: number, round: AbortSignal): Promise<LiveLink<In, Out>> {
    const { settings, dialer, context } = this.#parts;
    const { connectTimeout, onLink } = settings;
    const given = new AbortController();
    const { signal } = given;
    const giveUp = (): void => given.abort(round.reason);
    round.addEventListener('abort', giveUp, { once: true });
    const timer =
      connectTimeout > 0 ? setTimeout(() => given.abort(tooLate(connectTimeout)), connectTimeout).unref() : undefined;

    let link: LiveLink<In, Out> | undefined;
    try {
      signal.throwIfAborted();
      const dialled = await dialer.dial({ attempt, signal });
      const opened = new LiveLink(dialled, { ...context, number: context.counters.links + 1 });
      link = opened;
      void opened.lost.then(() => given.abort(opened.reason ?? goodbye(opened)));
      if (onLink) await within(signal, callOnLink());
      signal.throwIfAborted();
      return opened;

      // Its own function, so that what it throws at once is a rejection too.
      async function callOnLink(): Promise<void> {
        await onLink?.(opened, { signal });
      }
    } catch (error) {
      link?.destroy(error);
      throw error;
    } finally {
      clearTimeout(timer);
      round.removeEventListener('abort', giveUp);
    }
  }

  /**
   * p-retry clips to `maxTimeout` after its own jitter, so that at the cap everybody would wait the same time. Here
   * all timeouts of a round are scaled by one factor instead: clients spread, and the next delay is known beforehand.
   */
  #backoff(signal: AbortSignal): PRetryOptions {
    const { retry } = this.#parts.settings;
    const { randomize, onFailedAttempt, shouldRetry, shouldConsumeRetry } = retry;
    const scale = randomize ? (1 + Math.random()) / 2 : 1;
    const minTimeout = retry.minTimeout * scale;
    const maxTimeout = retry.maxTimeout * scale;
    const started = performance.now();
    let consumed = true;

    const delayAfter = (retriesConsumed: number): number => {
      if (!consumed) return 0;
      const delay = Math.min(Math.round(minTimeout * retry.factor ** retriesConsumed), maxTimeout);
      return Math.min(delay, (retry.maxRetryTime ?? Infinity) - (performance.now() - started));
    };
    return {
      ...retry,
      randomize: false,
      minTimeout,
      maxTimeout,
      signal,
      unref: true,
      onFailedAttempt: async (context) => {
        await within(signal, onFailedAttempt?.(context));
      },
      shouldConsumeRetry: async (context) => {
        consumed = await within(signal, shouldConsumeRetry?.(context) ?? true);
        return consumed;
      },
      // p-retry asks this last, before it waits.
      shouldRetry: async (context) => {
        const { error, attemptNumber, retriesConsumed } = context;
        if (this.#isFatal(error) || !(await within(signal, shouldRetry?.(context) ?? true))) return false;
        this.#parts.onRetry({ attempt: attemptNumber, error, delay: delayAfter(retriesConsumed) });
        return true;
      },
    };
  }

  /** Errors that no retry can mend: ours, or a peer that was never trusted. (p-retry itself knows `TypeError`.) */
  #isFatal(error: Error): boolean {
    if (error instanceof RangeError || error instanceof ReferenceError) return true;
    return this.#parts.context.counters.links === 0 && isCertificateError(error);
  }
}

const goodbye = (link: { readonly peer: string; readonly uptime: number }): ReconError =>
  new ReconError('ERR_RECON_DROPPED', `the peer closed the link to ${link.peer} after ${Math.round(link.uptime)} ms`);

const tooLate = (milliseconds: number): ReconError =>
  new ReconError('ERR_RECON_TIMEOUT', `the attempt took more than ${milliseconds} ms (connectTimeout)`);
