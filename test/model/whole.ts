import { Duplex } from 'node:stream';
import { Connection } from '../../src/connection.js';
import { type Deferred, deferred } from '../../src/promises.js';
import { readSettings } from '../../src/settings.js';
import type { ModelOptions } from './connection.js';
import { codecOf, type Iterated, latin1, type Manner, type Results, type Wiretap, type World } from './world.js';

/** Something that was asked of the test, until it is done or nobody wants it any more. */
interface Asked<T> extends Deferred<T> {
  readonly signal: AbortSignal;
}

const asked = <T>({ signal }: { signal: AbortSignal }): Asked<T> => ({ ...deferred<T>(), signal });
const isWanted = (one: Asked<any> | undefined): boolean => one?.signal.aborted === false;

/** A whole connection over streams in memory. It is what `connect()` gives, but from the start rather than once it is up. */
export class Whole implements World {
  readonly #conn: Connection<any, any>;
  readonly #tap: Wiretap;
  readonly #aborter = new AbortController();
  readonly #events: string[] = [];
  #drains = 0;
  #opened = 'pending';
  #closed = 'pending';
  #dial: Asked<Duplex> | undefined;
  #onLink: Asked<void> | undefined;
  #wire: Wire | undefined;
  #lost: Wire | undefined;

  constructor(options: ModelOptions, tap: Wiretap) {
    const { maxBufferedAmount, unflushed, highWaterMark, retries, hasOnLink, hasWriteTimeout } = options;
    this.#tap = tap;
    const onLink = (_: unknown, context: { signal: AbortSignal }): Promise<void> => (this.#onLink = asked(context)).promise;
    this.#conn = new Connection(
      readSettings<any, any>([
        {
          dial: (context: { signal: AbortSignal }) => (this.#dial = asked<Duplex>(context)).promise,
          codec: codecOf(options),
          ...(hasOnLink && { onLink }),
          ...(hasWriteTimeout && { writeTimeout: 60_000 }),
          ...{ maxBufferedAmount, unflushed, highWaterMark },
          retry: { retries, minTimeout: 0, maxTimeout: 0 },
          ...{ minUptime: 0, connectTimeout: 0, signal: this.#aborter.signal },
        },
      ]),
    );
    this.#listen();
  }

  #listen(): void {
    const conn = this.#conn;
    conn.on('connect', () => this.#events.push('connect'));
    conn.on('reconnect', () => this.#events.push('reconnect'));
    conn.on('drop', ({ reason, discarded }) => this.#events.push(`drop ${reason && textOf(reason)} ${discarded}`));
    conn.on('retry', () => this.#events.push('retry'));
    conn.on('drain', () => (this.#drains += 1));
    conn.on('error', (error) => this.#events.push(`error ${textOf(error)}`));
    conn.on('close', () => this.#events.push('close'));
    conn.opened().then(() => (this.#opened = 'done'), (error) => (this.#opened = textOf(error)));
    conn.closed.then(() => (this.#closed = 'done'), (error) => (this.#closed = textOf(error)));
  }

  observe(): Record<string, unknown> {
    const { bufferedAmount, readyState, stats } = this.#conn;
    const { bytesRead, bytesDiscarded, links } = stats;
    return {
      phase: this.#phase,
      ...{ readyState, opened: this.#opened, closed: this.#closed },
      saidGoodbye: this.#wire?.saidGoodbye ?? false,
      ...{ bufferedAmount, drains: this.#drains, bytesRead, bytesDiscarded, links },
      events: this.#events.join(),
    };
  }

  get #phase(): string {
    if (this.#closed !== 'pending') return 'over';
    if (isWanted(this.#dial)) return 'dialling';
    if (isWanted(this.#onLink)) return 'onLink';
    return this.#wire?.destroyed === false ? 'up' : 'none';
  }

  write(message: string | Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#conn.write(message, signal && { signal });
  }

  end(message?: string): Promise<void> {
    return this.#conn.end(message);
  }

  destroy(error?: Error): void {
    this.#conn.destroy(error);
  }

  abort(error: Error): void {
    this.#aborter.abort(error);
  }

  reconnect(): Promise<Iterated> {
    return this.#conn.reconnect();
  }

  messages(): Results {
    return this.#conn[Symbol.asyncIterator]();
  }

  batches(): Results {
    return this.#conn.batches();
  }

  links(): Results {
    return this.#conn.links();
  }

  dialled(manner: Manner): void {
    this.#lost = this.#wire;
    this.#wire = new Wire(this.#tap, manner);
    this.#dial!.resolve(this.#wire);
    this.#dial = undefined;
  }

  linked(): void {
    this.#onLink!.resolve();
    this.#onLink = undefined;
  }

  /** The dial fails, or `onLink` throws. */
  failAttempt(error: Error): void {
    (this.#dial ?? this.#onLink)!.reject(error);
    this.#dial = undefined;
    this.#onLink = undefined;
  }

  take(length: number): void {
    this.#wire!.takeBytes(length);
  }

  takeLate(): void {
    this.#lost?.takeBytes(Infinity);
  }

  arrive(bytes: string): void {
    this.#wire!.push(Buffer.from(bytes, 'latin1'));
  }

  sayGoodbye(): void {
    this.#wire!.push(null);
  }

  fail(error: Error): void {
    this.#wire!.destroy(error);
  }
}

/** A stream whose far end the test holds. */
class Wire extends Duplex {
  saidGoodbye = false;
  readonly #tap: Wiretap;
  readonly #manner: Manner;
  /** Of the chunk that it is at: bytes not taken, and whom to tell. */
  #left = 0;
  #taken: (() => void) | undefined;

  constructor(tap: Wiretap, manner: Manner) {
    super();
    this.#tap = tap;
    this.#manner = manner;
  }

  takeBytes(length: number): void {
    let rest = length;
    while (this.#taken && rest > 0) {
      const part = Math.min(rest, this.#left);
      rest -= part;
      this.#left -= part;
      if (this.#left > 0) return;
      const taken = this.#taken;
      this.#taken = undefined;
      taken();
    }
  }

  override write(chunk: any, encoding?: any, callback?: any): boolean {
    if (!this.destroyed) this.#tap.handed(latin1(chunk), this.#manner === 'at once');
    return super.write(chunk, encoding, callback);
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.#left = chunk.length;
    this.#taken = () => {
      if (!this.destroyed) this.#tap.taken(chunk.length);
      callback();
    };
    if (this.#manner === 'at once') this.takeBytes(chunk.length);
  }

  override _final(callback: () => void): void {
    this.saidGoodbye = true;
    callback();
  }

  override _read(): void {}
}

/** What an error is known by. */
export const textOf = (error: unknown): string => (error as { code?: string }).code ?? (error as Error).message;
