import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import pRetry, { AbortError } from 'p-retry';
import { decoderOf } from './codec.js';
import { Deadline } from './deadline.js';
import type { Dialled, Dialer } from './dial.js';
import { isCertificateError } from './dial-errors.js';
import { because, isError, isMistake, ReconError } from './errors.js';
import type { Retry } from './events.js';
import { type LinkContext, LiveLink } from './link.js';
import { asError, original, Outage, standIn } from './outage.js';
import { within } from './promises.js';
import type { Settings } from './settings.js';
import { tryDestroy } from './source.js';

export { AbortError };

/** @internal */
export interface LinksContext<In, Out> extends LinkContext<In, Out> {
  readonly settings: Settings<In, Out>;
}

/** @internal Brings one link after another, under p-retry. */
export class Links<In, Out> implements AsyncIterableIterator<LiveLink<In, Out>> {
  readonly #context: LinksContext<In, Out>;
  readonly #dialer: Dialer;
  readonly #onRetry: (retry: Retry) => void;
  #outage: Outage;
  #last: LiveLink<In, Out> | undefined;
  /** Cancels what is under way without a link: a dial, an `onLink`, a wait. */
  #cancellation: AbortController | undefined;
  #stopped = false;

  /** @param onRetry - told of each attempt that failed and is not the last */
  constructor(context: LinksContext<In, Out>, dialer: Dialer, onRetry: (retry: Retry) => void) {
    this.#context = context;
    this.#dialer = dialer;
    this.#onRetry = onRetry;
    this.#outage = new Outage(context.settings.retry);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next link, once the last one is lost; none if it was stopped. Throws the error that no retry can mend, or the last one. */
  async next(): Promise<IteratorResult<LiveLink<In, Out>, undefined>> {
    const last = this.#last;
    this.#last = undefined;
    if (last && !this.#stopped) this.#judge(last);
    while (!this.#stopped) {
      this.#cancellation = new AbortController();
      const link = await this.#bring(this.#outage, this.#cancellation.signal);
      if (!link) continue;
      this.#last = link;
      return { done: false, value: link };
    }
    return { done: true, value: undefined };
  }

  /** Whether the link may come up: it may have been lost, or cancelled, since `next()` gave it. */
  claim(link: LiveLink<In, Out>): boolean {
    if (this.#cancellation?.signal.aborted) link.destroy();
    this.#cancellation = undefined;
    return link.open;
  }

  /** Starts anew, with the backoff at its beginning. Doesn't affect a link that was claimed. */
  redial(): void {
    this.#outage = new Outage(this.#context.settings.retry);
    this.#cancellation?.abort();
  }

  /** Brings no more links. */
  stop(): void {
    this.#stopped = true;
    this.#cancellation?.abort();
  }

  /** What the end of a link means for the next one. Throws if there should be none. */
  #judge(link: LiveLink<In, Out>): void {
    if (link.mistake) throw link.mistake;
    if (link.wasUp && link.uptime >= this.#context.settings.minUptime) this.#outage = new Outage(this.#context.settings.retry);
    // After `redial()` the outage is a new one, and this loss is none of its failures.
    else if (this.#outage.attempts > 0) {
      const reason = isError(link.reason) ? link.reason : lossOf(link);
      this.#outage.loss = standIn(reason);
      this.#context.counters.lastError = reason;
    }
  }

  /** One more link, or none if that was cancelled. p-retry counts, asks its hooks and waits. */
  async #bring(outage: Outage, signal: AbortSignal): Promise<LiveLink<In, Out> | undefined> {
    const started = performance.now();
    let link: LiveLink<In, Out> | undefined;
    const attempt = async (): Promise<LiveLink<In, Out>> => {
      const { loss } = outage;
      outage.loss = undefined;
      if (loss) {
        // The link's `drop` is emitted before the hooks are asked.
        await turn();
        throw loss;
      }
      outage.attempts += 1;
      link = await this.#attempt(outage.attempts, signal);
      return link;
    };
    try {
      // Not p-retry's own result: aborted just as the link has come, p-retry throws, and nobody would close the link.
      await pRetry(attempt, outage.retryOptions(signal, { isFatal: (error) => this.#isFatal(error), onRetry: this.#onRetry }));
    } catch (error) {
      if (!signal.aborted) throw original(asError(error));
    } finally {
      outage.elapsed += performance.now() - started;
    }
    return link;
  }

  /** One attempt. If it is cancelled, it has not failed. */
  async #attempt(attempt: number, signal: AbortSignal): Promise<LiveLink<In, Out>> {
    const { counters } = this.#context;
    // Attempts that fail at once must not starve the event loop. The first one, too, begins in a microtask: outside of one, a
    // socket that fails at once would do so before anybody listens.
    await (counters.attempts > 0 ? turn() : undefined);
    try {
      signal.throwIfAborted();
      counters.attempts += 1;
      return await this.#open(attempt, signal);
    } catch (error) {
      const failure = asError(error);
      if (!signal.aborted) counters.lastError = original(failure);
      throw failure;
    }
  }

  /** Dials and runs `onLink`, both within `connectTimeout`. */
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
      const decoder = decoderOf(this.#context.settings.codec);
      // It may have been aborted in the microtasks since the dial, or by the codec.
      signal.throwIfAborted();
      const opened = new LiveLink(dialled, decoder, this.#context);
      link = opened;
      await this.#runOnLink(opened, controller);
      signal.throwIfAborted();
      if (!opened.open) throw opened.reason ?? lossOf(opened);
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

  /** Runs `onLink`, until its time is up or the link is lost. */
  async #runOnLink(link: LiveLink<In, Out>, controller: AbortController): Promise<void> {
    const { onLink } = this.#context.settings;
    if (!onLink) return;
    const { signal } = controller;
    void link.lost.then(() => controller.abort(link.reason ?? lossOf(link)));
    // Wrapped in an async function, so that a synchronous throw is a rejection too.
    const done = (async () => onLink(link, { signal }))();
    try {
      await within(signal, done);
    } catch (error) {
      throw link.open ? error : ((await lastWord(done)) ?? error);
    }
  }

  /** Errors that no retry can mend: the program's, or a peer that was never trusted. */
  #isFatal(error: Error): boolean {
    // p-retry lets only those `TypeError`s through that are network errors.
    if (isMistake(error) && !(error instanceof TypeError)) return true;
    return this.#context.counters.links === 0 && isCertificateError(original(error));
  }
}

/** The loss of a link by a plain goodbye, or with what is no `Error`. */
function lossOf<In, Out>(link: LiveLink<In, Out>): ReconError {
  const when = link.uptime > 0 ? `after ${Math.round(link.uptime)} ms` : 'before it was up';
  const what = link.reason === undefined ? `the peer closed ${link} ${when}` : `${link} was lost ${when}${because(link.reason)}`;
  return new ReconError('ERR_RECON_DROPPED', what, link.reason);
}

/** A peer may refuse us and hang up at once: `onLink`, which has read why, gets one turn to throw its `AbortError`. */
async function lastWord(done: Promise<unknown>): Promise<AbortError | undefined> {
  const thrown = done.then(
    () => undefined,
    (error: unknown) => error,
  );
  const error = await Promise.race([thrown, turn()]);
  return error instanceof AbortError ? error : undefined;
}
