import { Batch, Slab, SMALL_CHUNK } from './batch.js';
import { because, ReconError } from './errors.js';
import { Fifo } from './fifo.js';
import { type Deferred, deferred, handled } from './promises.js';
import { Withdrawals } from './withdrawals.js';

/** Something to be sent. */
export interface Part {
  readonly data: string | Uint8Array;
  /** In bytes. */
  readonly length: number;
}

/** What the outbox needs of a link. */
export interface Sink {
  /** False from the moment the link is lost. */
  readonly open: boolean;
  /**
   * Hands over the parts as one piece. `taken` is told, as often as it pleases, how many more bytes the system has
   * taken; nothing that is not taken when the link is lost. Returns whether it was all taken at once.
   */
  send(parts: readonly Part[], taken: (bytes: number) => void): boolean;
}

export interface OutboxOptions {
  readonly maxBufferedAmount: number;
  readonly unflushed: 'resend' | 'reject';
}

/** What a batch costs besides its bytes, about. Past a margin it counts against the bound, which many small writes would never reach. */
const OVERHEAD = 512;
const MARGIN = 1024 * 1024;
/** What is handed to a link at once: enough to keep the system busy, and no more than that is in doubt at a drop. */
const BURST = 1024 * 1024;
const BURST_PARTS = 1024;
/** Its `then()` runs something in a microtask, at a fraction of the cost of `queueMicrotask()`. */
const RESOLVED = Promise.resolve();

/**
 * What was written and not flushed: in order, and bounded. It survives its links: what one has not confirmed when it
 * is lost goes first on the next, or is refused.
 *
 * It settles writes up to the position it is told ({@link Outbox.confirm}); who vouches for that position, the system
 * or some day the peer, is not its business.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #onDrain: () => void;
  /** Handed to the link and not confirmed, in order. */
  #handed = new Fifo<Batch>();
  /** Not begun, in order. */
  readonly #waiting = new Fifo<Batch>();
  /** How many of them have been taken back, and only take up room. */
  #withdrawn = 0;
  /** Those that their signals can take back; most connections have none. */
  #withdrawals: Withdrawals | undefined;
  /** The last of those waiting: small chunks may join it. */
  #last: Batch | undefined;
  #slab: Slab | undefined;
  #size = 0;
  /** Bytes handed to the present link. */
  #position = 0;
  #sink: Sink | undefined;
  /** Called by the present link with how many more bytes are taken. */
  #taken: (bytes: number) => void = () => {};
  /** A burst is under way, or will be at the end of this turn. */
  #flushing = false;
  /** Something had to wait since it was last empty. */
  #backlog = false;
  #refusal: ReconError | undefined;
  /** The last refusal for want of room: thrown again as long as nothing has changed. */
  #lastFull: { size: number; length: number; error: ReconError } | undefined;
  /** Asked for by `close()`. */
  #finished: Deferred<void> | undefined;

  /** @param onDrain - told when all that had to wait is gone */
  constructor(options: OutboxOptions, onDrain: () => void) {
    this.#options = options;
    this.#onDrain = onDrain;
  }

  /** Bytes that wait or are unconfirmed. */
  get size(): number {
    return this.#size;
  }

  /** Takes no more. */
  get closed(): boolean {
    return this.#refusal !== undefined;
  }

  /** Takes no more, and has nothing left to flush. */
  get done(): boolean {
    return this.closed && this.#size === 0;
  }

  /**
   * Queues one chunk. The promise settles when it is flushed, refused, or taken back by the signal. Throws if the
   * chunk can't be queued at all.
   */
  push(chunk: string | Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#checkOpen();
    signal?.throwIfAborted();
    const length = byteLength(chunk);
    const { maxBufferedAmount } = this.#options;
    const overhead = this.#count * OVERHEAD;
    if (this.#size + length > maxBufferedAmount || overhead > maxBufferedAmount + MARGIN) {
      // Whoever is refused waits for `drain`.
      this.#backlog ||= this.#size > 0;
      throw this.#full(length);
    }
    return this.#queue(chunk, length, signal);
  }

  /** Queues a chunk even where there is no room: the last one, or a stream's, which hands over one at a time. */
  pushAnyway(chunk: string | Uint8Array): Promise<void> {
    this.#checkOpen();
    return this.#queue(chunk, byteLength(chunk));
  }

  #checkOpen(): void {
    if (this.#refusal) throw new ReconError('ERR_RECON_CLOSED', this.#refusal.message, this.#refusal.cause);
  }

  #queue(chunk: string | Uint8Array, length: number, signal?: AbortSignal): Promise<void> {
    const batch = this.#place(chunk, length, signal);
    this.#size += length;
    if (!this.#sink?.open) this.#backlog = true;
    else if (!this.#flushing) {
      // The rest of this turn's writes join this one.
      this.#flushing = true;
      const sink = this.#sink;
      void RESOLVED.then(() => {
        if (this.#sink === sink) this.#flush();
      });
    }
    return batch.settled.promise;
  }

  /** A refusal that was told a turn late may have missed its `drain`: tells another one. */
  refusedLate(): void {
    if (this.closed) return;
    this.#backlog = true;
    this.#checkEmpty();
  }

  /** A link is up: flushes to it until it is detached. */
  attach(sink: Sink): void {
    let confirmed = 0;
    this.#position = 0;
    this.#sink = sink;
    this.#taken = (bytes) => {
      if (this.#sink !== sink) return;
      confirmed += bytes;
      this.confirm(confirmed);
      if (confirmed === this.#position) this.#flush();
    };
    this.#flush();
  }

  /** The link, so called, is lost. What it has not confirmed may have been sent in part. */
  detach(reason?: unknown, link = 'the link'): void {
    const handed = this.#handed.clear();
    this.#sink = undefined;
    this.#flushing = false;
    if (handed.length > 0 && this.#options.unflushed === 'reject') {
      const message = `this write may have been sent in part: ${link} was lost before it was confirmed${because(reason)}`;
      // One for all of them: a stack trace for each would keep the process busy.
      const error = new ReconError('ERR_RECON_UNFLUSHED', message, reason);
      for (const batch of handed) this.#settle(batch, error);
    } else if (handed.length > 0) {
      this.#waiting.unshift(handed);
    }
    if (this.#size > 0) this.#backlog = true;
    this.#checkEmpty();
  }

  /** Everything up to this position on the present link has been taken. */
  confirm(position: number): void {
    for (let batch = this.#handed.first; batch && batch.end <= position; batch = this.#handed.first) {
      this.#handed.shift();
      this.#settle(batch);
    }
    this.#checkEmpty();
  }

  /** Takes no more. Fulfilled once nothing is left: flushed, refused or taken back; rejects if it fails before. */
  close(): Promise<void> {
    this.#refusal = new ReconError('ERR_RECON_CLOSED', 'cannot write: end() was called, and the connection takes no more');
    this.#finished ??= deferred();
    this.#checkEmpty();
    return handled(this.#finished.promise);
  }

  /** Takes no more, and refuses all that it has. */
  fail(cause?: unknown): void {
    this.#refusal = new ReconError('ERR_RECON_CLOSED', `cannot write: the connection has ended${because(cause)}`, cause);
    this.#backlog = false;
    this.#sink = undefined;
    const left = this.#clear();
    if (left.length > 0) {
      const error = new ReconError('ERR_RECON_CLOSED', `the connection ended before this write was flushed${because(cause)}`, cause);
      if (this.#size > 0) this.#finished?.reject(error);
      for (const batch of left) this.#settle(batch, error);
    }
    this.#checkEmpty();
  }

  /** Batches that wait or are unconfirmed. */
  get #count(): number {
    return this.#waiting.length - this.#withdrawn + this.#handed.length;
  }

  /** The batch that a chunk becomes a part of: the last one, if it may join it, or a new one. */
  #place(chunk: string | Uint8Array, length: number, signal: AbortSignal | undefined): Batch {
    // What can be taken back has bytes of its own, so that it leaves no gap in a slab that others hold on to.
    if (length > SMALL_CHUNK || signal !== undefined) {
      const batch = Batch.of(chunk, signal);
      if (signal) {
        this.#withdrawals ??= new Withdrawals((batches, reason) => this.#takeBack(batches, reason));
        this.#withdrawals.allow(batch, signal);
      }
      this.#append(batch);
      return batch;
    }
    let batch = this.#last;
    if (!batch?.hasRoom(length)) {
      batch = this.#open(length);
      this.#append(batch);
    }
    batch.join(chunk, length);
    return batch;
  }

  /** A batch of small chunks, in a slab that has room for the first. */
  #open(length: number): Batch {
    if (this.#slab === undefined || length > this.#slab.bytes.length - this.#slab.used) this.#slab = new Slab();
    return Batch.within(this.#slab);
  }

  #append(batch: Batch): void {
    this.#last?.pack();
    this.#waiting.push(batch);
    this.#last = batch;
  }

  #takeBack(batches: readonly Batch[], reason: unknown): void {
    for (const batch of batches) {
      batch.withdraw();
      this.#withdrawn += 1;
      this.#settle(batch, reason);
    }
    if (this.#withdrawn * 2 > this.#waiting.length) {
      this.#waiting.retain((batch) => !batch.isWithdrawn);
      this.#withdrawn = 0;
    }
    this.#checkEmpty();
  }

  /** One burst is under way at a time, so that no more than that is in doubt when the link is lost. */
  #flush(): void {
    const sink = this.#sink;
    this.#flushing = sink?.open === true && this.#waiting.length > 0;
    if (sink === undefined || !this.#flushing) return;

    const start = this.#position;
    const burst = this.#begin();
    // Empty writes at the head have nothing to wait for. A burst of nothing else goes to the writer, which sees to it that the
    // event loop turns.
    if (burst.length > 0) this.confirm(start);
    if (!sink.send(burst, this.#taken) && this.#size > 0) this.#backlog = true;
  }

  /** Takes as much of what waits as a burst may be, and hands it over. */
  #begin(): Batch[] {
    const burst: Batch[] = [];
    const start = this.#position;
    for (let batch = this.#waiting.first; batch; batch = this.#waiting.first) {
      const full = burst.length >= BURST_PARTS || this.#position - start + batch.length > BURST;
      if (burst.length > 0 && full) break;
      this.#waiting.shift();
      if (batch.isWithdrawn) {
        this.#withdrawn -= 1;
        continue;
      }
      this.#handed.push(batch);
      this.#withdrawals?.forbid(batch);
      this.#position += batch.length;
      batch.end = this.#position;
      if (batch.length > 0) burst.push(batch);
      if (this.#last === batch) this.#last = undefined;
    }
    return burst;
  }

  #settle(batch: Batch, refusal?: unknown): void {
    this.#withdrawals?.forbid(batch);
    this.#size -= batch.length;
    if (refusal === undefined) batch.settled.resolve();
    else {
      handled(batch.settled.promise);
      batch.settled.reject(refusal);
    }
  }

  /** If nothing is left, tells so: `drain`, and `close()`. */
  #checkEmpty(): void {
    if (this.#size > 0) return;
    // Only empty writes can be left, which count as flushed.
    if (this.#refusal) for (const batch of this.#clear()) this.#settle(batch);
    if (this.#backlog && this.#count === 0) {
      this.#backlog = false;
      this.#onDrain();
    }
    this.#finished?.resolve();
  }

  /** Everything there is, in order; nothing is left. */
  #clear(): Batch[] {
    const all = [...this.#handed.clear(), ...this.#waiting.clear().filter((batch) => !batch.isWithdrawn)];
    this.#withdrawn = 0;
    this.#last = undefined;
    return all;
  }

  /** A program that goes on writing while the outbox is full must not pay for a stack trace each time. */
  #full(length: number): ReconError {
    if (this.#lastFull?.length === length && this.#lastFull.size === this.#size) return this.#lastFull.error;
    const { maxBufferedAmount } = this.#options;
    const waiting = this.#size === 0 ? '' : `${this.#size} bytes in ${this.#count} pieces wait (await write(), or 'drain'), and `;
    const message = `cannot write ${length} bytes: ${waiting}maxBufferedAmount is ${maxBufferedAmount}`;
    const error = new ReconError('ERR_RECON_BUFFER_FULL', message);
    this.#lastFull = { size: this.#size, length, error };
    return error;
  }
}

const byteLength = (chunk: string | Uint8Array): number => (typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength);
