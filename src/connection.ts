import type { Duplex } from 'node:stream';
import * as check from './check.js';
import { encode } from './codec.js';
import { Dialer } from './dial.js';
import { streamOf } from './duplex.js';
import { because, type Reason, ReconError } from './errors.js';
import { ConnectionEmitter, type ConnectionEvents, heard, tell } from './events.js';
import { Hold } from './hold.js';
import { Inbox, type Outcome } from './inbox.js';
import type { Link, LiveLink } from './link.js';
import { Links } from './links.js';
import { Outbox } from './outbox.js';
import type { WriteOptions } from './options.js';
import { allowListeners, type Deferred, deferred, handled, rejected } from './promises.js';
import { Refusals } from './refusals.js';
import type { Settings } from './settings.js';
import { newCounters, type ReadyState, type Stats } from './stats.js';

/**
 * A connection outlives its links: it redials when one is lost, until it is ended.
 *
 * Iterated, it yields what its links received, in order, link after link. The loop ends when the connection has ended,
 * and throws when it failed, after all that had been received. Leaving the loop leaves the connection alone: a later
 * loop goes on where this one stopped. One reader at a time: a second one's `next()` rejects with `ERR_RECON_READING`.
 *
 * It is made by `connect()`, keeps the process running until it is ended, and tells its life as events
 * ({@link ConnectionEvents}).
 *
 * @typeParam In - what is read: `Buffer`s, or the messages of the `codec`
 * @typeParam Out - what is written: strings and `Uint8Array`s, or the messages of the `codec`
 *
 * @example
 * conn.on('drop', ({ reason }) => console.log('link lost:', reason ?? 'the peer said goodbye'));
 * conn.on('reconnect', (link) => console.log('back, on link', link.number));
 * for await (const chunk of conn) console.log(chunk.toString());
 */
export class Connection<In = Buffer, Out = string | Uint8Array>
  extends ConnectionEmitter<In, Out>
  implements AsyncIterable<In>
{
  /**
   * Settles when all is over and the last socket is closed (or has had `closeTimeout` for that, 5 s at most): resolves
   * after `end()`, or `destroy()` without an error; rejects with the very error that ended the connection. It never
   * causes an unhandled rejection: if you look neither at it nor at the `error` event, you won't learn of a failure.
   *
   * @example
   * conn.closed.catch((error) => console.error('given up:', error.message));
   */
  readonly closed: Promise<void>;

  readonly #settings: Settings<In, Out>;
  readonly #counters = newCounters();
  readonly #hold = new Hold();
  readonly #inbox: Inbox<In, Link<In, Out>>;
  readonly #outbox: Outbox;
  readonly #links: Links<In, Out>;
  readonly #onAbort: (() => void) | undefined;
  /** The link that is up. */
  #link: LiveLink<In, Out> | undefined;
  /** The next link to come up: what `connect()` and `reconnect()` wait for. */
  #wanted: Deferred<Link<In, Out>> | undefined = deferred();
  #ending: Promise<void> | undefined;
  /** How it ends; set once. */
  #outcome: Outcome | undefined;
  #stream: Duplex | undefined;
  #refusals: Refusals | undefined;

  /** @internal Connections are made by `connect()`. */
  constructor(settings: Settings<In, Out>) {
    super();
    this.#settings = settings;
    this.#inbox = new Inbox(settings, this.#counters);
    this.#outbox = new Outbox(settings, () => tell(this, 'drain'));
    this.#links = new Links(
      { settings, inbox: this.#inbox, counters: this.#counters },
      new Dialer(settings, this.#hold),
      (retry) => tell(this, 'retry', retry),
    );
    const { signal } = settings;
    if (signal) {
      this.#onAbort = () => this.#cut({ error: signal.reason });
      allowListeners(signal);
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    this.closed = handled(this.#live());
  }

  /** The whole life: one link after another, until it has ended or given up. */
  async #live(): Promise<void> {
    try {
      for await (const link of this.#links) {
        // Lost or cancelled while it was being handed over.
        if (!this.#links.claim(link)) continue;
        this.#up(link);
        await link.lost;
        this.#down(link);
      }
      this.#shut('clean');
    } catch (error) {
      this.#shut({ error });
    }
    await this.#hold.release(this.#settings.closeTimeout);
    await this.#over();
  }

  #up(link: LiveLink<In, Out>): void {
    this.#link = link;
    this.#counters.links += 1;
    link.up();
    this.#wanted?.resolve(link);
    this.#wanted = undefined;
    tell(this, this.#counters.links === 1 ? 'connect' : 'reconnect', link);
    this.#outbox.attach(link);
  }

  #down(link: LiveLink<In, Out>): void {
    const { reason, discarded } = link;
    // Asked before `detach()`, which may reject what is unconfirmed and so empty the outbox.
    const clean = this.#outcome === 'clean' || (this.#outcome === undefined && this.#outbox.done);
    this.#link = undefined;
    this.#outbox.detach(reason, String(link));
    if (clean) return;
    if (!this.#outcome) this.#counters.lastError = reason ?? this.#counters.lastError;
    tell(this, 'drop', { link, reason, discarded });
  }

  /** Everything is flushed: stops redialling, and sends FIN on the link, if there is one. */
  #goodbye(): void {
    this.#links.stop();
    this.#link?.end();
  }

  /** Ends it now; what was not read is gone. */
  #cut(outcome: Outcome): void {
    if (this.#outcome) return;
    this.#inbox.clear();
    this.#shut(outcome);
    this.#link?.destroy(outcome === 'clean' ? undefined : outcome.error);
  }

  /** Fixes the outcome: nothing more goes in or out. Only the first call counts. */
  #shut(outcome: Outcome): void {
    if (this.#outcome) return;
    const error = outcome === 'clean' ? undefined : outcome.error;
    this.#outcome = outcome;
    if (outcome !== 'clean') this.#counters.lastError = outcome.error as Reason;
    if (this.#onAbort) this.#settings.signal?.removeEventListener('abort', this.#onAbort);
    this.#links.stop();
    this.#outbox.fail(error);
    this.#inbox.finish(outcome);
    const which = this.#counters.links === 0 ? 'first' : 'next';
    this.#wanted?.reject(new ReconError('ERR_RECON_CLOSED', `the connection ended before its ${which} link was up${because(error)}`, error));
  }

  /** Emits the last events, then throws the error that ended the connection. */
  async #over(): Promise<void> {
    const outcome = this.#outcome as Outcome;
    if (outcome !== 'clean') tell(this, 'error', outcome.error as Reason);
    tell(this, 'close');
    // A program that exits after `await conn.end()` must have heard `close`.
    await heard();
    if (outcome !== 'clean') throw outcome.error;
  }

  /** @internal Fulfilled when the first link is up. Rejects with the error that ended the connection, once it is closed. */
  async opened(): Promise<void> {
    try {
      await this.#wantedLink();
    } catch (error) {
      // Throws the error that ended the connection. If there was none, somebody ended it: `ERR_RECON_CLOSED`.
      await this.closed;
      throw error;
    }
  }

  #wantedLink(): Promise<Link<In, Out>> {
    this.#wanted ??= deferred();
    return handled(this.#wanted.promise);
  }

  /**
   * Writes a message. Fulfilled when the operating system has taken every byte of it on a link that is up; that is
   * "flushed", not "the peer has it". Writes wait, in order, while the link is down.
   *
   * Rejects with `ERR_RECON_BUFFER_FULL` (beyond `maxBufferedAmount`), `ERR_RECON_CLOSED` (the connection has ended,
   * or is ending), `ERR_RECON_UNFLUSHED` (with `unflushed: 'reject'`), `ERR_RECON_CODEC` (a message that the codec
   * can't send), `signal.reason`, or a `TypeError` for what is neither a string nor a Uint8Array. Don't change a
   * Uint8Array until the promise settles. A rejection that nobody handles doesn't end the process: if you don't await a
   * write, you won't learn that it failed.
   *
   * @example
   * await conn.write('hello');
   * await conn.write(line, { signal: AbortSignal.timeout(5_000) });
   */
  write(message: Out, options?: WriteOptions): Promise<void> {
    try {
      if (options !== undefined) check.shape(options, 'write options', { signal: check.abortSignal });
      return this.#outbox.push(encode(this.#settings.codec, message), options?.signal);
    } catch (error) {
      this.#refusals ??= new Refusals(() => this.#outbox.refusedLate());
      return this.#refusals.refuse(error);
    }
  }

  /**
   * Takes no more writes, flushes all that waits (redialling if it must), says goodbye (FIN), lets a reader finish what
   * the peer still sends, and resolves when the link is closed; `closeTimeout` after the goodbye it stops waiting. With
   * nothing to flush and no link it resolves at once. Called again without a message, it returns the same promise; first
   * called after the end, it resolves.
   *
   * Rejects with the error that the connection fails with meanwhile, with `ERR_RECON_CLOSED` if `destroy()` leaves something
   * unflushed, or with the error of writing `message`: if the codec refuses that, the connection stays open. A full buffer
   * doesn't refuse it.
   *
   * @example
   * await conn.end('QUIT\r\n');
   */
  end(message?: Out): Promise<void> {
    if (message === undefined && this.#ending) return this.#ending;
    if (message === undefined && this.#outcome) return this.closed.catch(() => {});
    let written: Promise<void> | undefined;
    try {
      if (message !== undefined) written = this.#outbox.pushAnyway(encode(this.#settings.codec, message));
    } catch (error) {
      return rejected(error);
    }
    const flushed = this.#outbox.close();
    flushed.then(
      () => this.#goodbye(),
      () => {},
    );
    const ended = async (): Promise<void> => {
      await this.closed;
      await flushed;
      await written;
      await this.#hold.gone();
    };
    this.#ending = handled(ended());
    return this.#ending;
  }

  /**
   * Ends it now. Pending writes reject with `ERR_RECON_CLOSED`, the reader stops, and what it had not read is gone.
   * With an error, the reader throws it and `closed` rejects with it.
   */
  destroy(error?: unknown): this {
    this.#cut(error === undefined || error === null ? 'clean' : { error });
    return this;
  }

  /**
   * Redials now, however young the link, and starts the backoff anew: cuts a wait short, or drops a link that the
   * application knows to be stale. Fulfilled with the next link when it is up, after `reconnect`; rejects with `ERR_RECON_CLOSED` if the
   * connection ends before.
   *
   * @example
   * process.on('SIGHUP', () => void conn.reconnect());   // to wherever the name leads now
   */
  reconnect(): Promise<Link<In, Out>> {
    if (this.#outcome || this.#outbox.done) {
      return rejected(new ReconError('ERR_RECON_CLOSED', 'the connection has ended: there is no next link'));
    }
    const next = this.#wantedLink().then(async (link) => {
      await heard();
      return link;
    });
    this.#links.redial();
    this.#link?.destroy(new ReconError('ERR_RECON_DROPPED', 'reconnect() was called'));
    return handled(next);
  }

  /** Reads message by message: `for await (const message of conn)`. See {@link Connection}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<In, undefined> {
    return this.#inbox.messages();
  }

  /**
   * All that is ready now as one array, never empty: for the highest throughput. An array never spans two links.
   * Otherwise it reads as `for await (const message of conn)` does.
   *
   * @example
   * for await (const batch of conn.batches()) for (const line of batch) count(line);
   */
  batches(): AsyncIterableIterator<In[], undefined> {
    return this.#inbox.batches();
  }

  /**
   * Each link in turn, itself an async iterable of its own messages. A link's loop ends where the link ended, however
   * that was (`link.reason` says). Moving on to the next link skips what is left of this one.
   *
   * @example
   * for await (const link of conn.links()) {
   *   for await (const chunk of link) console.log(link.number, chunk);
   *   console.log('lost:', link.reason ?? 'the peer said goodbye');
   * }
   */
  links(): AsyncIterableIterator<Link<In, Out>, undefined> {
    return this.#inbox.links();
  }

  /**
   * The whole connection as a `Duplex`, for `pipeline()` and, through `Duplex.toWeb()`, for WHATWG streams. Ending it is
   * `end()`, destroying it `destroy()`. With a codec it is in object mode, and a `null` among the messages fails it with
   * `ERR_RECON_CODEC`. A full buffer doesn't refuse its writes, which come one at a time. What a writer that doesn't wait
   * for `drain` has in the stream's own buffer is not the connection's yet: `write()` overtakes it, and after `end()` it fails
   * the stream. It always returns the same stream.
   *
   * @example
   * await pipeline(createReadStream('app.log'), conn.stream(), { end: false });
   */
  stream(): Duplex {
    this.#stream ??= streamOf<In, Out>(this, {
      objectMode: !this.#settings.raw,
      unread: () => this.#inbox.size,
      write: async (message) => this.#outbox.pushAnyway(encode(this.#settings.codec, message)),
    });
    return this.#stream;
  }

  /** `opening`, `open`, `reopening`, `closing` or `closed`: see {@link ReadyState}. `open` already inside `reconnect`. */
  get readyState(): ReadyState {
    if (this.#outcome) return 'closed';
    if (this.#outbox.closed) return 'closing';
    if (this.#link?.open) return 'open';
    return this.#counters.links === 0 ? 'opening' : 'reopening';
  }

  /** Bytes written that wait or are not confirmed yet: true right after each `write()`. Only the message of `end()`, and what `stream()` takes, may take it above `maxBufferedAmount`. */
  get bufferedAmount(): number {
    return this.#outbox.size;
  }

  /** Counters of its whole life, as they are at the moment: a snapshot. */
  get stats(): Stats {
    return { ...this.#counters };
  }

  /** Lets the connection keep the process running (the default), as `net.Socket.ref()`; waiting to retry does too. */
  ref(): this {
    this.#hold.ref();
    return this;
  }

  /** Lets the process exit while the connection is all that is left, as `net.Socket.unref()`. */
  unref(): this {
    this.#hold.unref();
    return this;
  }

  /** Calls `end()`, at the end of the block of `await using conn = await connect(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
