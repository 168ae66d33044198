import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import pRetry, { AbortError } from 'p-retry';
import { Deadline } from './deadline.js';
import { type Dialled, type Dialer, isCertificateError } from './dial.js';
import { because, isError, isMistake, ReconError } from './errors.js';
import type { Retry } from './events.js';
import { type LinkContext, LiveLink } from './link.js';
import { asError, original, Outage, type OutageHooks, standIn } from './outage.js';
import { within } from './promises.js';
import type { Settings } from './settings.js';
import { tryDestroy } from './source.js';

export { AbortError };

/** @internal */
export interface LinksContext<In, Out> extends LinkContext<In, Out> {
  readonly settings: Settings<In, Out>;
}

/** @internal Brings one link after another, under p-retry. */
export class Links<In, Out> {
  readonly #context: LinksContext<In, Out>;
  readonly #dialer: Dialer;
  readonly #hooks: OutageHooks;
  #outage: Outage;
  /** Aborts what is under way without a link: a dial, an `onLink`, a wait. */
  #cancellation: AbortController | undefined;
  #stopped = false;

  /** @param onRetry - told of each attempt that failed and is not the last */
  constructor(context: LinksContext<In, Out>, dialer: Dialer, onRetry: (retry: Retry) => void) {
    this.#context = context;
    this.#dialer = dialer;
    this.#hooks = { isFatal: (error) => this.#isFatal(error), onRetry };
    this.#outage = new Outage(this.#context.settings.retry);
  }

  /** One link after another, until it is stopped. Throws the error that no retry can mend, or the last one. */
  async *[Symbol.asyncIterator](): AsyncGenerator<LiveLink<In, Out>, undefined> {
    while (!this.#stopped) {
      this.#cancellation = new AbortController();
      const link = await this.#bring(this.#outage, this.#cancellation.signal);
      if (!link) continue;
      yield link;
      if (!this.#stopped) this.#judge(link);
    }
  }

  /** Whether the link may come up: until this very moment it may be lost, or called off. */
  claim(link: LiveLink<In, Out>): boolean {
    if (this.#cancellation?.signal.aborted) link.destroy();
    this.#cancellation = undefined;
    return link.open;
  }

  /** Starts anew, with the backoff at its beginning. A link that was claimed is not concerned. */
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
      await pRetry(attempt, outage.retryOptions(signal, this.#hooks));
    } catch (error) {
      if (!signal.aborted) throw original(error);
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
      const failure = asError(error);
      if (!signal.aborted) counters.lastError = failure instanceof AbortError ? failure.originalError : original(failure);
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

  /** Errors that no retry can mend: the program's, or a peer that was never trusted. */
  #isFatal(error: Error): boolean {
    // A `TypeError` that p-retry lets pass is the network's.
    if (isMistake(error) && !(error instanceof TypeError)) return true;
    return this.#context.counters.links === 0 && isCertificateError(original(error));
  }
}

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
