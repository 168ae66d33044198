import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import type { Deadline } from './deadline.js';
import { Fifo } from './fifo.js';
import type { Part } from './outbox.js';

/** How many confirmations, and for how many milliseconds, one turn of the event loop may bring. */
const YIELD_COUNT = 32;
const YIELD_TIME = 1;
/** With a `writeTimeout`, bytes handed to the socket at a time: the grain in which progress is seen. */
const SLICE = 16 * 1024;

/** Told how many more bytes the system has taken, in order. */
export type Taken = (bytes: number) => void;

export interface WriterOptions {
  /** It takes text as it is, and what is corked in one piece, so that the last part's callback confirms all of them. */
  readonly isNetSocket: boolean;
  /** Passes when the socket takes nothing of what waits; without one, progress isn't watched. */
  readonly stalled: Deadline | undefined;
}

/** What a writer needs of the link that it is a part of. */
export interface WriterHost {
  /** Told of all bytes that are taken. */
  onTaken(bytes: number): void;
  /** Drops the link. */
  destroy(error: Error): void;
  /** Its stream, one of somebody else's making, has thrown. */
  onThrown(error: unknown): void;
}

/**
 * Hands bytes to one socket, in order.
 *
 * While the system takes bytes at once, a socket calls back in the same turn of the event loop, and a loop of awaited
 * writes would see no FIN, no timer and no signal. So now and then a confirmation, not the bytes, waits for the next turn.
 */
export class Writer {
  readonly #socket: Duplex;
  readonly #host: WriterHost;
  readonly #isNetSocket: boolean;
  readonly #stalled: Deadline | undefined;
  readonly #slices = new Fifo<{ bytes: Uint8Array; taken: Taken }>();
  #onEnd: (() => void) | undefined;
  #count = 0;
  #since = 0;

  constructor(socket: Duplex, host: WriterHost, { isNetSocket, stalled }: WriterOptions) {
    this.#socket = socket;
    this.#host = host;
    this.#isNetSocket = isNetSocket;
    this.#stalled = stalled;
  }

  /** Returns whether the system took everything at once. */
  write(parts: readonly Part[], taken: Taken): boolean {
    if (parts.length === 0) this.#confirm(taken, 0);
    else if (this.#stalled) this.#writeSliced(parts, taken);
    else this.#guard(() => this.#writeWhole(parts, taken));
    return this.#slices.length <= 1 && this.#socket.writableLength === 0 && !this.#socket.destroyed;
  }

  /** Says goodbye, once everything is written; `said` is told when the system has it. */
  end(said: () => void): void {
    this.#onEnd = said;
    if (this.#slices.length === 0) this.#finish();
  }

  /** Something came in from the event loop, so it has turned. */
  turned(): void {
    this.#count = 0;
  }

  #writeWhole(parts: readonly Part[], taken: Taken): void {
    const socket = this.#socket;
    const last = parts.length - 1;
    let asked = 0;
    if (last > 0) socket.cork();
    for (let index = 0; index <= last; index++) {
      const { data, length } = parts[index]!;
      asked += length;
      if (this.#isNetSocket && index < last) socket.write(data, 'utf8');
      else {
        this.#writePart(this.#isNetSocket ? data : bytesOf(data), asked, index === last, taken);
        asked = 0;
      }
    }
    if (last > 0) socket.uncork();
  }

  /** Writes one part, whose confirmation is that of so many bytes. */
  #writePart(data: string | Uint8Array, bytes: number, isLast: boolean, taken: Taken): void {
    this.#socket.write(data, 'utf8', (error) => {
      if (error) this.#host.destroy(error);
      else if (isLast) this.#confirm(taken, bytes);
      else this.#tell(taken, bytes);
    });
  }

  #writeSliced(parts: readonly Part[], taken: Taken): void {
    const idle = this.#slices.length === 0;
    for (const { data } of parts) {
      const bytes = bytesOf(data);
      let start = 0;
      do this.#slices.push({ bytes: bytes.subarray(start, start + SLICE), taken });
      while ((start += SLICE) < bytes.length);
    }
    if (idle) this.#writeSlice();
  }

  /** The first slice is the one that the socket has: it stays until it is taken. */
  #writeSlice(): void {
    const slice = this.#slices.first;
    if (slice === undefined) {
      this.#stalled?.disarm();
      if (this.#onEnd) this.#finish();
      return;
    }
    this.#watch();
    const onWritten = (error?: Error | null): void => {
      if (error) return this.#host.destroy(error);
      // Progress counts when it is made, however late it is confirmed.
      this.#watch();
      this.#confirm((bytes) => {
        this.#slices.shift();
        this.#writeSlice();
        // Last: it may write more.
        slice.taken(bytes);
      }, slice.bytes.length);
    };
    this.#guard(() => this.#socket.write(slice.bytes, onWritten));
  }

  /** Of a destroyed socket nothing is watched: its write fails, which tells more; or its link is lost already. */
  #watch(): void {
    if (!this.#socket.destroyed) this.#stalled?.arm();
  }

  #finish(): void {
    this.#guard(() => this.#socket.end(this.#onEnd));
  }

  #guard(use: () => void): void {
    try {
      use();
    } catch (error) {
      this.#host.onThrown(error);
    }
  }

  /** Confirms so many bytes: at once, or, now and then, in the next turn. */
  #confirm(taken: Taken, bytes: number): void {
    this.#count += 1;
    if (this.#count === 1) this.#since = performance.now();
    else if (this.#count >= YIELD_COUNT || performance.now() - this.#since >= YIELD_TIME) {
      setImmediate(() => {
        this.#count = 0;
        this.#tell(taken, bytes);
      });
      return;
    }
    this.#tell(taken, bytes);
  }

  #tell(taken: Taken, bytes: number): void {
    this.#host.onTaken(bytes);
    taken(bytes);
  }
}

const bytesOf = (data: string | Uint8Array): Uint8Array => (typeof data === 'string' ? Buffer.from(data) : data);
