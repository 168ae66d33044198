import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import type { Deadline } from './deadline.js';
import { Fifo } from './fifo.js';

/** How often, and for how many milliseconds, writing may go on in one turn of the event loop. */
const BREATH_COUNT = 32;
const BREATH_TIME = 1;
/** With a deadline for progress, what is handed to the socket at once: smaller than that, none is seen. */
const SLICE = 16 * 1024;

/** Told how many more bytes the system has taken, in order; or the error of a link that is lost. */
export type Taken = (error: Error | null | undefined, bytes: number) => void;

/**
 * Hands bytes to one socket, in order.
 *
 * While the system takes bytes at once, a socket calls back in the same turn of the event loop, and a loop of awaited
 * writes would see no FIN, no timer and no signal. So now and then a confirmation, not the bytes, waits for the next turn.
 */
export class Writer {
  readonly #socket: Duplex;
  readonly #stalled: Deadline | undefined;
  readonly #slices = new Fifo<{ bytes: Uint8Array; taken: Taken }>();
  #onEnd: (() => void) | undefined;
  #count = 0;
  #since = 0;

  /** @param stalled - passes when the socket takes nothing of what waits; without one, progress isn't watched */
  constructor(socket: Duplex, stalled?: Deadline) {
    this.#socket = socket;
    this.#stalled = stalled;
  }

  /** Returns whether the system took everything at once. */
  write(parts: readonly Uint8Array[], taken: Taken): boolean {
    if (parts.length === 0) this.#confirm(taken, 0);
    else if (this.#stalled) this.#writeSliced(parts, taken);
    else this.#writeWhole(parts, taken);
    return this.#slices.length <= 1 && this.#socket.writableLength === 0;
  }

  /** Says goodbye, once everything is written; `said` is told when the system has it. */
  end(said: () => void): void {
    this.#onEnd = said;
    if (this.#slices.length === 0) this.#socket.end(said);
  }

  /** Something came in from the event loop, so it has turned. */
  turned(): void {
    this.#count = 0;
  }

  #writeWhole(parts: readonly Uint8Array[], taken: Taken): void {
    const socket = this.#socket;
    // What is corked goes to a stream's `_writev` in one piece: then only the last part need be asked about.
    const together = socket._writev != null;
    const last = parts.length - 1;
    let asked = 0;
    if (last > 0) socket.cork();
    parts.forEach((part, index) => {
      asked += part.length;
      if (together && index < last) {
        socket.write(part);
        return;
      }
      const bytes = asked;
      asked = 0;
      socket.write(part, (error) => {
        if (error || index < last) taken(error, bytes);
        else this.#confirm(taken, bytes);
      });
    });
    if (last > 0) socket.uncork();
  }

  #writeSliced(parts: readonly Uint8Array[], taken: Taken): void {
    const idle = this.#slices.length === 0;
    for (const part of parts) {
      let start = 0;
      do this.#slices.push({ bytes: part.subarray(start, start + SLICE), taken });
      while ((start += SLICE) < part.length);
    }
    if (idle) this.#writeSlice();
  }

  /** The first slice is the one that the socket has: it stays until it is taken. */
  #writeSlice(): void {
    const slice = this.#slices.first;
    if (slice === undefined) {
      this.#stalled?.disarm();
      if (this.#onEnd) this.#socket.end(this.#onEnd);
      return;
    }
    this.#stalled?.arm();
    this.#socket.write(slice.bytes, (error) => {
      if (error) return slice.taken(error, 0);
      // Progress counts when it is made, however long its confirmation takes a breath.
      this.#stalled?.arm();
      this.#confirm((_, bytes) => {
        this.#slices.shift();
        slice.taken(null, bytes);
        this.#writeSlice();
      }, slice.bytes.length);
    });
  }

  /** Tells at once that the system has taken so many bytes; or, when it is time to breathe, in the next turn. */
  #confirm(taken: Taken, bytes: number): void {
    this.#count += 1;
    if (this.#count === 1) this.#since = performance.now();
    else if (this.#count >= BREATH_COUNT || performance.now() - this.#since >= BREATH_TIME) {
      setImmediate(() => {
        this.#count = 0;
        taken(null, bytes);
      });
      return;
    }
    taken(null, bytes);
  }
}
