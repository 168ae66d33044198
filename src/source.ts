import type { OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import * as workers from 'node:worker_threads';

/** Who is told what arrives. */
export interface Receiver {
  /** Takes a chunk. Returns whether more is wanted; if not, the source stops until `resume()`. */
  receive(chunk: Buffer): boolean;
}

/** Where a link's bytes come from. What a source has taken from the system is never lost to a later reset. */
export interface Source {
  /** Begins to hand over what comes; at once, or not before `resume()`. */
  start(receiver: Receiver, atOnce: boolean): void;
  resume(): void;
  /** The stream is lost: destroys it, and hands over what was taken from the system and not yet passed on. */
  drain(): void;
  /** Whether what comes is proof that the event loop has turned. */
  readonly isFromLoop: boolean;
}

/**
 * Bytes of a slab: eight times the last read, within limits, and no less than half of the one before. So a quiet
 * connection holds on to little, and a busy one allocates seldom. The largest are for a flood, in which one read fills a whole
 * slab. With 128 KiB, the string of such a chunk would be a large object to V8, and slow to make.
 */
const LEAST_SLAB = 4 * 1024;
const LARGE_SLAB = 64 * 1024;
const LARGEST_SLAB = 120 * 1024;
/** Of a slab, what is less than this part of the next one is not worth a read, and is left. */
const WORTH = 1 / 8;
/** A chunk up to this size is copied to where the last one ended, rather than kept as an object of its own. */
const COPIED = 1024;

const NONE = Buffer.alloc(0);

/**
 * Where every quiet connection reads, one whose next slab would be the least: it has no memory for what may never come. What
 * is read here is copied before anybody sees it, and so before anything else can be read.
 */
const LANDING = Buffer.allocUnsafeSlow(LARGE_SLAB);

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
export class Arena {
  #bytes = NONE;
  #used = 0;
  #nextSize = LEAST_SLAB;

  /** Where to read. */
  room(): Buffer {
    if (this.#nextSize === LEAST_SLAB) {
      // The slab of a flood that is over. One that is hardly used is kept: its few chunks would hold on to the whole of it.
      if (this.#bytes.length > LEAST_SLAB && this.#used * 2 >= this.#bytes.length) this.#give(NONE);
      return LANDING;
    }
    this.#reserve(this.#nextSize * WORTH);
    return this.#bytes.subarray(this.#used);
  }

  /** What was read into the room, the very one that was given: so many bytes. */
  take(length: number, room: Uint8Array): Buffer {
    return room === LANDING ? this.copy(room.subarray(0, length)) : this.#use(length);
  }

  /** Copies a chunk to where the last one ended. */
  copy(chunk: Uint8Array): Buffer {
    this.#reserve(chunk.length);
    this.#bytes.set(chunk, this.#used);
    return this.#use(chunk.length);
  }

  /** Makes sure that there is enough room. */
  #reserve(enough: number): void {
    if (this.#bytes.length - this.#used >= enough) return;
    this.#give(Buffer.allocUnsafeSlow(Math.max(this.#nextSize, enough)));
    // Chunks share it: who transfers one to a worker must not take the others with it.
    // (Not every runtime can say so.)
    workers.markAsUntransferable?.(this.#bytes.buffer);
  }

  #give(bytes: typeof NONE): void {
    this.#bytes = bytes;
    this.#used = 0;
  }

  #use(length: number): Buffer {
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
  readonly #arena: Arena;
  #receiver!: Receiver;
  readonly #onData = (chunk: unknown): void => {
    if (!this.#pass(chunk)) this.#stream.pause();
  };

  constructor(stream: Duplex, arena: Arena) {
    this.#stream = stream;
    this.#arena = arena;
  }

  start(receiver: Receiver, atOnce: boolean): void {
    this.#receiver = receiver;
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
    if (isUint8Array(chunk)) return this.#receiver.receive(this.#own(chunk));
    if (typeof chunk === 'string') return this.#receiver.receive(Buffer.from(chunk));
    destroyed(this.#stream, new NotBytesError(`recon: dial brought a stream of ${typeof chunk}s: it must be one of bytes`));
    return false;
  }

  #own(chunk: Uint8Array): Buffer {
    return chunk.length > COPIED ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : this.#arena.copy(chunk);
  }
}

/**
 * The bytes of a socket of our own, read straight into slabs (`onread` of `net.connect`): without the stream's own
 * buffer there is nothing for a reset to throw away, and it is faster.
 */
export class SlabSource implements Source {
  readonly isFromLoop = true;
  readonly #arena: Arena;
  #socket: Socket | undefined;
  #receiver: Receiver | undefined;
  /** What comes before `start()`: a TLS peer's first bytes can arrive with the end of its handshake. */
  #early: Buffer[] | undefined;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** What its socket is to be connected with. */
  onread(): OnReadOpts {
    return {
      buffer: () => this.#arena.room(),
      callback: (length, room) => this.#pass(this.#arena.take(length, room)),
    };
  }

  of(socket: Socket): this {
    this.#socket = socket;
    return this;
  }

  start(receiver: Receiver, atOnce: boolean): void {
    this.#receiver = receiver;
    const wanted = this.#early?.map((chunk) => receiver.receive(chunk));
    this.#early = undefined;
    if (!atOnce || wanted?.includes(false)) this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  drain(): void {
    this.#socket?.destroy();
  }

  #pass(chunk: Buffer): boolean {
    if (this.#receiver) return this.#receiver.receive(chunk);
    this.#early ??= [];
    this.#early.push(chunk);
    return true;
  }
}
