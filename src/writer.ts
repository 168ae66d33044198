import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import type { Deadline } from './deadline.js';
import { Fifo } from './fifo.js';

/** How often, and for how many milliseconds, writing may go on in one turn of the event loop. */
const BREATH_COUNT = 32;
const BREATH_TIME = 1;
/** With a deadline for progress, what is handed to the socket at once: smaller than that, none is seen. */
const SLICE = 16 * 1024;

/** Told when the system has taken a write, or with the error of a link that is lost. */
export type Taken = (error?: Error | null) => void;

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
  #count = 0;
  #since = 0;

  /** @param stalled - passes when the socket takes nothing of what waits; without one, progress isn't watched */
  constructor(socket: Duplex, stalled?: Deadline) {
    this.#socket = socket;
    this.#stalled = stalled;
  }

  /** Returns whether the system took everything at once. */
  write(parts: readonly Uint8Array[], taken: Taken): boolean {
    const confirm: Taken = (error) => (error ? taken(error) : this.#breathe(taken));
    return this.#stalled ? this.#writeSliced(parts, confirm) : this.#writeWhole(parts, confirm);
  }

  /** Something came in from the event loop, so it has turned. */
  turned(): void {
    this.#count = 0;
  }

  #writeWhole(parts: readonly Uint8Array[], taken: Taken): boolean {
    const socket = this.#socket;
    const last = parts.length - 1;
    if (last > 0) socket.cork();
    parts.forEach((part, index) => (index < last ? socket.write(part) : socket.write(part, taken)));
    if (last > 0) socket.uncork();
    return socket.writableLength === 0;
  }

  #writeSliced(parts: readonly Uint8Array[], taken: Taken): boolean {
    const idle = this.#slices.length === 0;
    const onSlice: Taken = (error) => {
      if (error) taken(error);
    };
    parts.forEach((part, index) => {
      for (let start = 0; start < part.length; start += SLICE) {
        const isLast = index === parts.length - 1 && start + SLICE >= part.length;
        this.#slices.push({ bytes: part.subarray(start, start + SLICE), taken: isLast ? taken : onSlice });
      }
    });
    if (idle) this.#writeSlice();
    return this.#slices.length === 1 && this.#socket.writableLength === 0;
  }

  /** The first slice is the one the socket has: it stays until it is taken. */
  #writeSlice(): void {
    const slice = this.#slices.first;
    if (slice === undefined) return this.#stalled?.disarm();
    this.#stalled?.arm();
    this.#socket.write(slice.bytes, (error) => {
      this.#slices.shift();
      slice.taken(error);
      if (!error) this.#writeSlice();
    });
  }

  #breathe(taken: Taken): void {
    if (this.#count++ === 0) this.#since = performance.now();
    if (this.#count < BREATH_COUNT && performance.now() - this.#since < BREATH_TIME) return taken();
    setImmediate(() => {
      this.#count = 0;
      taken();
    });
  }
}
