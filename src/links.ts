import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import pRetry, { AbortError, type Options as PRetryOptions, type RetryContext } from 'p-retry';
import { Deadline } from './deadline.js';
import { type Dialled, type Dialer, isCertificateError } from './dial.js';
import { because, isError, isMistake, MISTAKES, ReconError } from './errors.js';
import type { Retry } from './events.js';
import { type LinkContext, type LinkSettings, LiveLink } from './link.js';
import { within } from './promises.js';
import type { Settings } from './settings.js';
import { tryDestroy } from './source.js';

export { AbortError };

/** @internal */
export interface LinksContext<In, Out> extends LinkContext<In, Out> {
  readonly settings: LinkSettings<In, Out> & Pick<Settings<In, Out>, 'connectTimeout' | 'minUptime' | 'onLink' | 'retry'>;
}

/** A stretch of trying, until a link lasts. A link that doesn't is one more of its failures. */
interface Outage {
  /**
   * p-retry clips to `maxTimeout` after its own jitter, so that at the cap everybody would wait the same time. All
   * timeouts of an outage are scaled by this instead: clients spread, and each delay is known beforehand.
   */
  readonly scale: number;
  attempts: number;
  /** Attempts that have used up a retry. */
  consumed: number;
  /** Milliseconds that it has taken, apart from those with a link. */
  elapsed: number;
  /** The stand-in of why the link that didn't last was lost. */
  loss: Error | undefined;
}

/** What p-retry gets to see in place of an error that it would misjudge, since it goes by classes; and that error. */
const originals = new WeakMap<object, Error>();

/**
 * For the loss of a link: what a stream was destroyed with may be about what the peer sent, even if it is a `RangeError`. Or
 * for an error of another realm, of a class of this one.
 */
function standIn(error: Error, kind: ErrorConstructor = Error): Error {
  const double = new kind(error.message);
  originals.set(double, error);
  return double;
}

/** What has failed, as p-retry takes it: errors of its own realm, and nothing else. */
function shown(error: unknown): Error {
  if (error instanceof Error) return error;
  if (isError(error)) return standIn(error, MISTAKES.find(({ name }) => name === error.name));
  return new Error(`the attempt failed with what is no Error: ${inspect(error)}`, { cause: error });
}

/** What has failed, as everybody else gets to see it. */
const bare = <E>(error: E): E | Error => originals.get(error as object) ?? error;

/** @internal Brings one link after another, under p-retry. */
export class Links<In, Out> {
  readonly #context: LinksContext<In, Out>;
  readonly #dialer: Dialer;
  readonly #onRetry: (retry: Retry) => void;
  #outage: Outage;
  /** Aborts what is under way without a link: a dial, an `onLink`, a wait. */
  #cancellation: AbortController | undefined;
  #stopped = false;

  /** @param onRetry - told of each attempt that failed and is not the last */
  constructor(context: LinksContext<In, Out>, dialer: Dialer, onRetry: (retry: Retry) => void) {
    this.#context = context;
    this.#dialer = dialer;
    this.#onRetry = onRetry;
    this.#outage = this.#newOutage();
  }

  /**
   * The next link, given the last one, which is lost, or could not be claimed. It is nobody's until it is claimed. Undefined
   * if there is to be none; throws the error that no retry can mend, or the last one.
   */
  async next(last?: LiveLink<In, Out>): Promise<LiveLink<In, Out> | undefined> {
    if (last && !this.#stopped) this.#judge(last);
    while (!this.#stopped) {
      this.#cancellation = new AbortController();
      const link = await this.#bring(this.#outage, this.#cancellation.signal);
      if (link) return link;
    }
    return undefined;
  }

  /** Whether the link may come up: until this very moment it may be lost, or called off. */
  claim(link: LiveLink<In, Out>): boolean {
    if (this.#cancellation?.signal.aborted) link.destroy();
    this.#cancellation = undefined;
    return link.open;
  }

  /** Starts anew, with the backoff at its beginning. A link that was claimed is not concerned. */
  redial(): void {
    this.#outage = this.#newOutage();
    this.#cancellation?.abort();
  }

  /** Brings no more links. */
  stop(): void {
    this.#stopped = true;
    this.#cancellation?.abort();
  }

  #newOutage(): Outage {
    const scale = this.#context.settings.retry.randomize ? (1 + Math.random()) / 2 : 1;
    return { scale, attempts: 0, consumed: 0, elapsed: 0, loss: undefined };
  }

  /** What the end of a link means for the next one. Throws if there should be none. */
  #judge(link: LiveLink<In, Out>): void {
    if (link.mistake) throw link.mistake;
    if (link.wasUp && link.uptime >= this.#context.settings.minUptime) this.#outage = this.#newOutage();
    // In an outage that has begun since, by `redial()`, nobody has tried yet: it is none of its failures.
    else if (this.#outage.attempts > 0) {
      const reason = isError(link.reason) ? link.reason : goodbye(link);
      this.#outage.loss = standIn(reason);
      this.#context.counters.lastError = reason;
    }
  }

  /** One more link, or none if that was called off. p-retry counts, asks its hooks and waits. */
  async #bring(outage: Outage, signal: AbortSignal): Promise<LiveLink<In, Out> | undefined> {
    const started = performance.now();
    let link: LiveLink<In, Out> | undefined;
    const attempt = async (): Promise<LiveLink<In, Out>> => {
      const { loss } = outage;
      outage.loss = undefined;
      if (loss) {
        // The hooks are asked once the link's `drop` has been told.
        await turn();
        throw loss;
      }
      outage.attempts += 1;
      link = await this.#attempt(outage.attempts, signal);
      return link;
    };
    try {
      // Not p-retry's own result: called off just as a link has come, it throws, and the link would be nobody's to close.
      await pRetry(attempt, this.#backoff(outage, signal));
    } catch (error) {
      if (!signal.aborted) throw bare(error);
    } finally {
      outage.elapsed += performance.now() - started;
    }
    return link;
  }

  /** One attempt. One that is called off has not failed. */
  async #attempt(attempt: number, signal: AbortSignal): Promise<LiveLink<In, Out>> {
    const { counters } = this.#context;
    // Failures that come at once, one after the other, must not keep the event loop from turning. The first attempt, too, begins
    // in a microtask: begun outside of one, a socket that fails at once would do so before anybody listens.
    await (counters.attempts > 0 ? turn() : undefined);
    try {
      signal.throwIfAborted();
      counters.attempts += 1;
      return await this.#open(attempt, signal);
    } catch (error) {
      const failure = shown(error);
      if (!signal.aborted) counters.lastError = bare(failure);
      throw failure;
    }
  }

  /** Dials and lets `onLink` have its say, both within `connectTimeout`. */
  async #open(attempt: number, cancelled: AbortSignal): Promise<LiveLink<In, Out>> {
    const { connectTimeout } = this.#context.settings;
    const controller = new AbortController();
    const { signal } = controller;
    const cancel = (): void => controller.abort(cancelled.reason);
    cancelled.addEventListener('abort', cancel, { once: true });
    const timeout = new Deadline(connectTimeout, () => {
      const what = link ? 'onLink was not done' : 'there was no answer';
      const limit = `within ${connectTimeout} ms of dialling ${this.#dialer.peer} (connectTimeout)`;
      controller.abort(new ReconError('ERR_RECON_TIMEOUT', `${what} ${limit}`));
    });
    timeout.arm();

    let dialled: Dialled | undefined;
    let link: LiveLink<In, Out> | undefined;
    try {
      dialled = await this.#dialer.dial({ attempt, signal });
      // The stream has been on its way through some promises.
      signal.throwIfAborted();
      const opened = new LiveLink(dialled, this.#context);
      link = opened;
      await this.#greet(opened, controller);
      signal.throwIfAborted();
      if (!opened.open) throw opened.reason ?? goodbye(opened);
      return opened;
    } catch (error) {
      const isLoss = link !== undefined && !link.open && !link.mistake && error === link.reason;
      link?.destroy(error);
      if (dialled) tryDestroy(dialled.socket);
      throw isLoss && isError(error) ? standIn(error) : error;
    } finally {
      timeout.disarm();
      cancelled.removeEventListener('abort', cancel);
    }
  }

  /** Lets `onLink` have its say, as long as its time allows and the link lasts. */
  async #greet(link: LiveLink<In, Out>, controller: AbortController): Promise<void> {
    const { onLink } = this.#context.settings;
    if (!onLink) return;
    const { signal } = controller;
    void link.lost.then(() => controller.abort(link.reason ?? goodbye(link)));
    // In a function of its own, so that what it throws at once is a rejection too.
    const done = (async () => onLink(link, { signal }))();
    try {
      await within(signal, done);
    } catch (error) {
      throw link.open ? error : ((await lastWord(done)) ?? error);
    }
  }

  /** p-retry's options for what is left of an outage. */
  #backoff(outage: Outage, signal: AbortSignal): PRetryOptions {
    const { retry } = this.#context.settings;
    const { onFailedAttempt, shouldRetry, shouldConsumeRetry, maxRetryTime = Infinity } = retry;
    const base = outage.consumed;
    const factor = retry.factor > 0 ? retry.factor : 1;
    const minTimeout = grown(retry.minTimeout * outage.scale, factor, base);
    const maxTimeout = Math.round(retry.maxTimeout * outage.scale);
    const deadline = performance.now() + Math.max(0, maxRetryTime - outage.elapsed);
    let consumes = true;
    // p-retry looks at the clock before it asks `shouldRetry`.
    let remaining = maxRetryTime;

    const delay = (retriesConsumed: number): number =>
      Math.round(Math.min(grown(minTimeout, factor, retriesConsumed), maxTimeout, remaining));
    /** p-retry counts from where the last link was lost; the hooks are told of the whole outage. */
    const whole = (context: RetryContext): RetryContext => ({
      ...context,
      error: bare(context.error),
      attemptNumber: outage.attempts,
      retriesConsumed: base + context.retriesConsumed,
    });
    return {
      retries: Math.max(0, retry.retries - base),
      factor,
      minTimeout,
      maxTimeout,
      maxRetryTime: Math.max(0, maxRetryTime - outage.elapsed),
      signal,
      unref: true,
      onFailedAttempt: async (context) => {
        // p-retry asks about an attempt that was aborted, too.
        signal.throwIfAborted();
        await within(signal, onFailedAttempt?.(whole(context)));
      },
      shouldConsumeRetry: async (context) => {
        const asked = shouldConsumeRetry ? await within(signal, shouldConsumeRetry(whole(context))) : true;
        // p-retry would repeat the attempt, and ask nothing more.
        consumes = asked || context.error instanceof TypeError;
        remaining = deadline - performance.now();
        if (consumes) outage.consumed = base + context.retriesConsumed + 1;
        return consumes;
      },
      // p-retry asks this last, before it waits.
      shouldRetry: async (context) => {
        const { error, retriesConsumed } = context;
        if (this.#isFatal(error)) return false;
        if (shouldRetry && !(await within(signal, shouldRetry(whole(context))))) return false;
        this.#onRetry({ attempt: outage.attempts, error: bare(error), delay: consumes ? delay(retriesConsumed) : 0 });
        return true;
      },
    };
  }

  /** Errors that no retry can mend: the program's, or a peer that was never trusted. */
  #isFatal(error: Error): boolean {
    // A `TypeError` that p-retry lets pass is the network's.
    if (isMistake(error) && !(error instanceof TypeError)) return true;
    return this.#context.counters.links === 0 && isCertificateError(bare(error));
  }
}

/** A timeout after so many retries: finite, as p-retry wants it, and 0 if it began so. */
const grown = (timeout: number, factor: number, retries: number): number =>
  Math.min(timeout * Math.min(factor ** retries, Number.MAX_VALUE), Number.MAX_SAFE_INTEGER);

/** The loss of a link by a plain goodbye, or with what is no `Error`. */
function goodbye<In, Out>(link: LiveLink<In, Out>): ReconError {
  const when = link.uptime > 0 ? `after ${Math.round(link.uptime)} ms` : 'before it was up';
  const what = link.reason === undefined ? `the peer closed ${link} ${when}` : `${link} was lost ${when}${because(link.reason)}`;
  return new ReconError('ERR_RECON_DROPPED', what, link.reason);
}

/** A peer that refuses us may hang up at once: `onLink`, which has read why, gives up just after its link was lost. */
async function lastWord(done: Promise<unknown>): Promise<AbortError | undefined> {
  const thrown = done.then(
    () => undefined,
    (error: unknown) => error,
  );
  const error = await Promise.race([thrown, turn()]);
  return error instanceof AbortError ? error : undefined;
}
