import type { OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import * as workers from 'node:worker_threads';

/** Takes a chunk that has arrived. Returns whether more is wanted; if not, the source stops until `resume()`. */
export type Receive = (chunk: Buffer) => boolean;

/** Where a link's bytes come from. What a source has taken from the system is never lost to a later reset. */
export interface Source {
  /** Begins to hand over what comes; at once, or not before `resume()`. */
  start(receive: Receive, atOnce: boolean): void;
  resume(): void;
  /** The stream is lost: destroys it, and hands over what was taken from the system and not yet passed on. */
  drain(): void;
  /** Whether what comes is proof that the event loop has turned. */
  readonly isFromLoop: boolean;
}

/**
 * Bytes of a slab: eight times the last read, within limits, and no less than half of the one before. So an idle
 * connection holds on to little, and a busy one allocates seldom. The largest are for a flood, in which one read fills a whole
 * slab. With 128 KiB, the string of such a chunk would be a large object to V8, and slow to make.
 */
const LEAST_SLAB = 4 * 1024;
const LARGE_SLAB = 64 * 1024;
const LARGEST_SLAB = 120 * 1024;
/** Of a slab, what is less than this part of the next one is not worth a read, and is left. */
const WORTH = 1 / 8;
/** A chunk up to this size is copied to where the last one ended, rather than kept as an object of its own. */
const SMALL = 1024;

const NONE = Buffer.alloc(0);

/** What `dial` brings is no stream of bytes. */
class NotBytesError extends TypeError {}

/** Whether a stream was destroyed because it brought something else than bytes. Node looks at that, too. */
export const isOfNoBytes = (error: unknown): error is Error =>
  error instanceof NotBytesError || (error instanceof TypeError && (error as NodeJS.ErrnoException).code === 'ERR_INVALID_ARG_TYPE');

/** Destroys a stream, which may be of somebody else's making and throw. Returns whether it didn't. */
export function destroyed(stream: Duplex, error?: Error): boolean {
  try {
    stream.destroy(error);
    return true;
  } catch {
    return false;
  }
}

/**
 * Memory that is used from one end to the other, so that what came one after the other lies side by side. A connection
 * has one for all its links: few bytes of each, unread, must not hold on to a slab for each.
 */
export class Slab {
  #bytes = NONE;
  #used = 0;
  #nextSize = LEAST_SLAB;

  /** What is free, and at least enough. */
  room(enough = this.#nextSize * WORTH): Buffer {
    if (this.#bytes.length - this.#used < enough) {
      this.#bytes = Buffer.allocUnsafeSlow(this.#nextSize);
      // Chunks share it: who transfers one to a worker must not take the others with it.
      // (Not every runtime can say so.)
      workers.markAsUntransferable?.(this.#bytes.buffer);
      this.#used = 0;
    }
    return this.#bytes.subarray(this.#used);
  }

  /** Uses so many bytes of the room. */
  take(length: number): Buffer {
    this.#used += length;
    const isFlood = length >= LARGE_SLAB && this.#used === this.#bytes.length;
    this.#nextSize = Math.min(Math.max(LEAST_SLAB, length * 8, this.#nextSize / 2), isFlood ? LARGEST_SLAB : LARGE_SLAB);
    return this.#bytes.subarray(this.#used - length, this.#used);
  }
}

/** The bytes of any stream. */
export class StreamSource implements Source {
  /** A stream in memory may answer a write before it returns. */
  readonly isFromLoop = false;
  readonly #stream: Duplex;
  readonly #slab: Slab;
  #receive!: Receive;
  readonly #onData = (chunk: unknown): void => {
    if (!this.#pass(chunk)) this.#stream.pause();
  };

  constructor(stream: Duplex, slab: Slab) {
    this.#stream = stream;
    this.#slab = slab;
  }

  start(receive: Receive, atOnce: boolean): void {
    this.#receive = receive;
    this.#stream.on('data', this.#onData);
    // It may have come paused.
    if (atOnce) this.#stream.resume();
    else this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** A destroyed stream emits no more of what it has buffered, but still gives it to who asks; and makes no more. */
  drain(): void {
    this.#stream.off('data', this.#onData);
    if (!destroyed(this.#stream)) return;
    for (let chunk: unknown = this.#stream.read(); chunk !== null; chunk = this.#stream.read()) this.#pass(chunk);
  }

  #pass(chunk: unknown): boolean {
    if (isUint8Array(chunk)) return this.#receive(this.#own(chunk));
    if (typeof chunk === 'string') return this.#receive(Buffer.from(chunk));
    destroyed(this.#stream, new NotBytesError(`recon: dial brought a stream of ${typeof chunk}s: it must be one of bytes`));
    return false;
  }

  #own(chunk: Uint8Array): Buffer {
    if (chunk.length > SMALL) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#slab.room(SMALL).set(chunk);
    return this.#slab.take(chunk.length);
  }
}

/**
 * The bytes of a socket of our own, read straight into slabs (`onread` of `net.connect`): without the stream's own
 * buffer there is nothing for a reset to throw away, and it is faster.
 */
export class SlabSource implements Source {
  readonly isFromLoop = true;
  readonly #slab: Slab;
  #socket: Socket | undefined;
  /** What comes before `start()`: a TLS peer's first bytes can arrive with the end of its handshake. */
  #early: Buffer[] = [];
  #receive: Receive = (chunk) => {
    this.#early.push(chunk);
    return true;
  };

  readonly onread: OnReadOpts = {
    buffer: () => this.#slab.room(),
    callback: (length) => this.#receive(this.#slab.take(length)),
  };

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  of(socket: Socket): this {
    this.#socket = socket;
    return this;
  }

  start(receive: Receive, atOnce: boolean): void {
    this.#receive = receive;
    const wanted = this.#early.map(receive);
    this.#early = [];
    if (!atOnce || wanted.includes(false)) this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  drain(): void {
    this.#socket?.destroy();
  }
}
