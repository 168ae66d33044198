import { performance } from 'node:perf_hooks';
import { inspect } from 'node:util';
import type { Options as PRetryOptions, RetryContext } from 'p-retry';
import { isError, MISTAKES } from './errors.js';
import type { Retry } from './events.js';
import { within } from './promises.js';
import type { RetrySettings } from './settings.js';

/** What an outage asks and tells before each wait. */
export interface OutageHooks {
  isFatal(error: Error): boolean;
  onRetry(retry: Retry): void;
}

/** The time without a lasting link. A link that is lost too soon is one more failure of the same outage. */
export class Outage {
  attempts = 0;
  /** Milliseconds so far, apart from those with a link. */
  elapsed = 0;
  /** Why the last, short-lived link was lost, as p-retry is to see it: the next attempt fails with it. */
  loss: Error | undefined;
  /** Retries used up. */
  #consumed = 0;
  readonly #retry: RetrySettings;
  /**
   * p-retry clips to `maxTimeout` after its own jitter, so at the cap all clients would wait equally long. All timeouts of
   * an outage are scaled by this instead: clients spread, and each delay is known beforehand.
   */
  readonly #scale: number;

  constructor(retry: RetrySettings) {
    this.#retry = retry;
    this.#scale = retry.randomize ? (1 + Math.random()) / 2 : 1;
  }

  /** p-retry's options for the rest of the outage. */
  retryOptions(signal: AbortSignal, { isFatal, onRetry }: OutageHooks): PRetryOptions {
    const { onFailedAttempt, shouldRetry, shouldConsumeRetry, maxRetryTime = Infinity } = this.#retry;
    const base = this.#consumed;
    const factor = this.#retry.factor > 0 ? this.#retry.factor : 1;
    const minTimeout = backoff(this.#retry.minTimeout * this.#scale, factor, base);
    const maxTimeout = Math.round(this.#retry.maxTimeout * this.#scale);
    const timeLeft = Math.max(0, maxRetryTime - this.elapsed);
    const deadline = performance.now() + timeLeft;
    let consumes = true;
    // p-retry looks at the clock before it asks `shouldRetry`.
    let remaining = maxRetryTime;

    const delay = (retriesConsumed: number): number =>
      Math.round(Math.min(backoff(minTimeout, factor, retriesConsumed), maxTimeout, remaining));
    /** p-retry counts from where the last link was lost; the user's hooks are told of the whole outage. */
    const overall = (context: RetryContext): RetryContext => ({
      ...context,
      error: original(context.error),
      attemptNumber: this.attempts,
      retriesConsumed: base + context.retriesConsumed,
    });
    return {
      retries: Math.max(0, this.#retry.retries - base),
      factor,
      minTimeout,
      maxTimeout,
      maxRetryTime: timeLeft,
      signal,
      unref: true,
      onFailedAttempt: async (context) => {
        // p-retry asks about an attempt that was aborted, too.
        signal.throwIfAborted();
        await within(signal, onFailedAttempt?.(overall(context)));
      },
      shouldConsumeRetry: async (context) => {
        const asked = shouldConsumeRetry ? await within(signal, shouldConsumeRetry(overall(context))) : true;
        // p-retry would repeat the attempt, and ask nothing more.
        consumes = asked || context.error instanceof TypeError;
        remaining = deadline - performance.now();
        if (consumes) this.#consumed = base + context.retriesConsumed + 1;
        return consumes;
      },
      // p-retry asks this last, before it waits.
      shouldRetry: async (context) => {
        const { error, retriesConsumed } = context;
        if (isFatal(error)) return false;
        if (shouldRetry && !(await within(signal, shouldRetry(overall(context))))) return false;
        signal.throwIfAborted();
        onRetry({ attempt: this.attempts, error: original(error), delay: consumes ? delay(retriesConsumed) : 0 });
        return true;
      },
    };
  }
}

/** A timeout after so many retries: finite, as p-retry wants it, and 0 if it began so. */
const backoff = (timeout: number, factor: number, retries: number): number =>
  Math.min(timeout * Math.min(factor ** retries, Number.MAX_VALUE), Number.MAX_SAFE_INTEGER);

/** Stand-ins, and the errors that they stand for. */
const originals = new WeakMap<object, Error>();

/** An error for p-retry, which judges by class, to see in place of one that it would misjudge. */
export function standIn(error: Error, kind: ErrorConstructor = Error): Error {
  const double = new kind(error.message);
  originals.set(double, error);
  return double;
}

/** What was thrown, as p-retry takes it: an `Error` of this realm. */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  if (isError(thrown)) return standIn(thrown, MISTAKES.find(({ name }) => name === thrown.name));
  return new Error(`the attempt failed with what is no Error: ${inspect(thrown)}`, { cause: thrown });
}

/** What was thrown, as everybody else gets to see it. */
export const original = <E>(error: E): E | Error => originals.get(error as object) ?? error;
