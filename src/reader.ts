import { ReconError } from './errors.js';
import { Fifo } from './fifo.js';
import { type Deferred, deferred, handled, rejected } from './promises.js';

export type Result<T> = IteratorResult<T, undefined>;

export const yielded = <T>(taken: T): Result<T> => ({ done: false, value: taken });
export const DONE: Result<never> = { done: true, value: undefined };

/** What one reader at a time may read. */
export interface Lock {
  holder: Reader<unknown> | undefined;
}

/** Messages that came together. */
export interface Run<T> {
  readonly messages: readonly T[];
  /** How many of them have been read: a cursor that both the reader and what it reads from move. */
  read: number;
}

/** What a reader reads from. */
export interface ReaderSource<T> {
  /** The next result, nothing yet, or a throw. */
  take(): Result<T> | undefined;
  /** Where the next results come from: all but the last of them may be taken without asking. */
  readonly run?: (() => Run<T> | undefined) | undefined;
  /** Each link is a result, an empty one too. */
  readonly visits?: boolean | undefined;
  /** The lock to hold while reading: asked at each `next()`. */
  lock(): Lock;
  /** The reader waits, having found nothing. */
  onWait?(): void;
  /** The reader has gone, having held the lock. */
  onLeave?(): void;
}

/** An async iterator that holds the right to read from its first `next()` until it ends or is left. */
export class Reader<T> implements AsyncIterableIterator<T, undefined> {
  readonly #source: ReaderSource<T>;
  readonly #waiting = new Fifo<Deferred<Result<T>>>();
  #run: Run<T> | undefined;
  #held: Lock | undefined;
  #done = false;
  #serving = false;

  constructor(source: ReaderSource<T>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  get visits(): boolean {
    return this.#source.visits === true;
  }

  /** Waits for more than there is. */
  get hungry(): boolean {
    return this.#waiting.length > 0;
  }

  next(): Promise<Result<T>> {
    const run = this.#run;
    if (run !== undefined && run.read < run.messages.length - 1) {
      return Promise.resolve(yielded(run.messages[run.read++] as T));
    }
    if (this.#done) return Promise.resolve(DONE);
    if (!this.#claim()) {
      return rejected(new ReconError('ERR_RECON_READING', 'somebody else is reading, and only one can at a time: its loop must be left first (links(), batches() and stream() read, too)'));
    }
    if (!this.hungry) {
      try {
        const result = this.#take();
        if (result !== undefined) return Promise.resolve(result);
      } catch (error) {
        return rejected(error);
      }
    }
    const pending = deferred<Result<T>>();
    this.#waiting.push(pending);
    this.#source.onWait?.();
    return pending.promise;
  }

  /** Leaves; what was not taken stays for the next reader. */
  return(): Promise<Result<T>> {
    this.#finish();
    this.wake();
    return Promise.resolve(DONE);
  }

  /** Something has changed: serves those who wait. */
  wake(): void {
    // Taking makes room, which may bring more at once: those who wait are served in their order all the same.
    if (this.#serving) return;
    this.#serving = true;
    this.#serve();
    this.#serving = false;
  }

  #serve(): void {
    for (let pending = this.#waiting.first; pending !== undefined; pending = this.#waiting.first) {
      try {
        const result = this.#take();
        if (result === undefined) return;
        pending.resolve(result);
      } catch (error) {
        handled(pending.promise);
        pending.reject(error);
      }
      this.#waiting.shift();
    }
  }

  /** Once done, it stays done: an error is thrown to one `next()`, and those after it find the end. */
  #take(): Result<T> | undefined {
    if (this.#done) return DONE;
    try {
      const result = this.#source.take();
      if (result?.done) this.#finish();
      else this.#run = this.#source.run?.();
      return result;
    } catch (error) {
      this.#finish();
      throw error;
    }
  }

  #claim(): boolean {
    const lock = this.#source.lock();
    if (this.#held === lock) return true;
    if (lock.holder !== undefined) return false;
    this.#release();
    lock.holder = this as Reader<unknown>;
    this.#held = lock;
    return true;
  }

  /** Returns whether there was something to release. */
  #release(): boolean {
    const held = this.#held;
    if (held) held.holder = undefined;
    this.#held = undefined;
    return held !== undefined;
  }

  #finish(): void {
    this.#done = true;
    this.#run = undefined;
    if (this.#release()) this.#source.onLeave?.();
  }
}
