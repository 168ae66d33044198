import type { OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Takes a chunk that has arrived. Returns whether more is wanted; if not, the source stops until `resume()`. */
export type Receive = (chunk: Buffer) => boolean;

/** Where a link's bytes come from. What a source has taken from the system is never lost to a later reset. */
export interface Source {
  start(receive: Receive): void;
  resume(): void;
  /** Hands over what was taken from the system and not yet passed on: the stream is lost. */
  drain(): void;
}

/** The bytes of any stream. */
export class StreamSource implements Source {
  readonly #stream: Duplex;
  #receive: Receive = () => true;
  readonly #onData = (chunk: unknown): void => {
    if (!this.#pass(chunk)) this.#stream.pause();
  };

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  start(receive: Receive): void {
    this.#receive = receive;
    this.#stream.on('data', this.#onData);
  }

  resume(): void {
    this.#stream.resume();
  }

  /** A destroyed stream emits no more of what it has buffered, but still gives it to who asks. */
  drain(): void {
    this.#stream.off('data', this.#onData);
    for (let chunk: unknown = this.#stream.read(); chunk !== null; chunk = this.#stream.read()) this.#pass(chunk);
  }

  #pass(chunk: unknown): boolean {
    if (Buffer.isBuffer(chunk)) return this.#receive(chunk);
    if (chunk instanceof Uint8Array) return this.#receive(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (typeof chunk === 'string') return this.#receive(Buffer.from(chunk));
    this.#stream.destroy(new TypeError(`recon: dial brought a stream of ${typeof chunk}s: it must be one of bytes`));
    return false;
  }
}

/** Memory is set aside in slabs of this size; what is too small for one more read is left. */
const SLAB = 64 * 1024;
const ENOUGH = 16 * 1024;

/**
 * The bytes of a socket of our own, read straight into slabs (`onread` of `net.connect`): without the stream's own
 * buffer there is nothing for a reset to throw away, and it is faster.
 */
export class SlabSource implements Source {
  #slab = Buffer.alloc(0);
  #used = 0;
  #socket: Socket | undefined;
  /** What comes before `start()`: a TLS peer's first bytes can arrive with the end of its handshake. */
  #early: Buffer[] = [];
  #receive: Receive = (chunk) => {
    this.#early.push(chunk);
    return true;
  };

  readonly onread: OnReadOpts = {
    buffer: () => this.#room(),
    callback: (length) => {
      const chunk = this.#slab.subarray(this.#used, this.#used + length);
      this.#used += length;
      return this.#receive(chunk);
    },
  };

  of(socket: Socket): this {
    this.#socket = socket;
    return this;
  }

  start(receive: Receive): void {
    this.#receive = receive;
    const early = this.#early;
    this.#early = [];
    const wanted = early.map(receive);
    if (wanted.includes(false)) this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  drain(): void {}

  #room(): Buffer {
    if (this.#slab.length - this.#used < ENOUGH) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB);
      this.#used = 0;
    }
    return this.#slab.subarray(this.#used);
  }
}
