import type { OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import type { Arena } from './arena.js';
import { isMistake } from './errors.js';
import { isLongTurn } from './turn.js';

/** Who is told what arrives. */
export interface Receiver {
  /** Takes a chunk. Returns whether more is wanted; if not, the source stops until `resume()`. */
  receive(chunk: Buffer): boolean;
}

/** Where a link's bytes come from. What a source has taken from the system is never lost to a later reset. */
export interface Source {
  /** Starts to hand over what arrives: at once, or, apart from what has arrived already, after `resume()`. */
  start(receiver: Receiver, atOnce: boolean): void;
  resume(): void;
  /** The stream is lost: destroys it, and hands over what was taken from the system and not yet passed on. */
  drain(): void;
  /** Whether data that arrive are proof that the event loop has turned. */
  readonly isFromLoop: boolean;
}

/** A chunk up to this size is copied to where the last one ended, rather than kept as an object of its own. */
const COPY_LIMIT = 1024;

/** `dial` brought a stream that is not one of bytes. */
class NotBytesError extends TypeError {}

/** Whether a stream was destroyed, by us or by Node, because its data are not bytes. */
export const isNotBytes = (error: unknown): error is Error =>
  error instanceof NotBytesError || (isMistake(error) && (error as NodeJS.ErrnoException).code === 'ERR_INVALID_ARG_TYPE');

/** Destroys a stream, which may be of somebody else's making and throw. Returns whether it didn't. */
export function tryDestroy(stream: Duplex, error?: Error): boolean {
  try {
    stream.destroy(error);
    return true;
  } catch {
    return false;
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
    try {
      this.#stream.resume();
    } catch (error) {
      tryDestroy(this.#stream, error as Error);
    }
  }

  /** A destroyed stream emits no more of what it has buffered, but still gives it to who asks; and makes no more. */
  drain(): void {
    try {
      this.#stream.off('data', this.#onData);
      this.#stream.destroy();
      for (let chunk: unknown = this.#stream.read(); chunk !== null; chunk = this.#stream.read()) this.#pass(chunk);
    } catch {
      // It is of somebody else's making, and lost in any case.
      tryDestroy(this.#stream);
    }
  }

  #pass(chunk: unknown): boolean {
    if (isUint8Array(chunk)) return this.#receiver.receive(this.#own(chunk));
    if (typeof chunk === 'string') return this.#receiver.receive(Buffer.from(chunk, this.#stream.readableEncoding ?? 'utf8'));
    tryDestroy(this.#stream, new NotBytesError(`recon: dial brought a stream of ${typeof chunk}s: it must be one of bytes`));
    return false;
  }

  #own(chunk: Uint8Array): Buffer {
    return chunk.length > COPY_LIMIT ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : this.#arena.copy(chunk);
  }
}

/**
 * The bytes of a socket of our own, read straight into slabs (`onread` of `net.connect`): without the stream's own
 * buffer there is nothing for a reset to throw away, and it is faster.
 *
 * Of a flood, libuv reads up to 32 slabs in one turn of the event loop. Millions of small messages would keep it from
 * every timer for that long, so a turn that has become long reads no more.
 */
export class SlabSource implements Source {
  readonly isFromLoop = true;
  readonly #arena: Arena;
  #socket: Socket | undefined;
  #receiver: Receiver | undefined;
  /** What comes before `start()`: a TLS peer's first bytes can arrive with the end of its handshake. */
  #early: Buffer[] | undefined;
  /** Stopped until the next turn, though more is wanted. */
  #yielding = false;

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

  attach(socket: Socket): this {
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
    if (!this.#receiver) {
      this.#early ??= [];
      this.#early.push(chunk);
      return true;
    }
    const wanted = this.#receiver.receive(chunk);
    const isLong = isLongTurn(chunk.length);
    this.#yielding = wanted && (isLong || this.#yielding);
    if (this.#yielding) setImmediate(() => this.#onNextTurn());
    return wanted && !this.#yielding;
  }

  #onNextTurn(): void {
    if (!this.#yielding) return;
    this.#yielding = false;
    this.resume();
  }
}
