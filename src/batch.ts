import { type Deferred, deferred } from './promises.js';

/** Chunks up to this size are joined, so that thousands of them cost the system one call, and us one promise. */
export const SMALL_CHUNK = 4 * 1024;

const WITHDRAWN = new Uint8Array(0);

/** Memory that small chunks lie in side by side; what one batch leaves of it is for the next. */
export class Slab {
  readonly bytes = Buffer.allocUnsafeSlow(64 * 1024);
  used = 0;
}

/** One or more chunks that are sent, confirmed, sent again or refused together, and share a promise. */
export class Batch {
  readonly settled: Deferred<void> = deferred();
  readonly signal: AbortSignal | undefined;
  /** In bytes. */
  length: number;
  /** The position on the link, in bytes, at which the system has taken the whole of it; set when it is handed over. */
  end = 0;
  #bytes: Uint8Array | undefined;
  readonly #slab: Slab | undefined;
  readonly #start: number;
  /** Bytes of it that lie in the slab. */
  #filled = 0;
  /** The text that follows them, not encoded yet: once for all of it is cheaper, and the socket can do it. */
  #text = '';

  private constructor(slab?: Slab, bytes?: Uint8Array, signal?: AbortSignal) {
    this.#slab = slab;
    this.#start = slab?.used ?? 0;
    this.#bytes = bytes;
    this.length = bytes?.length ?? 0;
    this.signal = signal;
  }

  /** One chunk, with bytes of its own. */
  static of(chunk: string | Uint8Array, signal?: AbortSignal): Batch {
    return new Batch(undefined, typeof chunk === 'string' ? Buffer.from(chunk) : chunk, signal);
  }

  /** Small chunks to come, side by side in what is left of a slab. */
  static within(slab: Slab): Batch {
    return new Batch(slab);
  }

  /** Whether a chunk of so many bytes may join it. */
  hasRoom(length: number): boolean {
    return this.#slab !== undefined && length <= this.#slab.bytes.length - this.#slab.used;
  }

  /** Adds a small chunk, of so many bytes. */
  join(chunk: string | Uint8Array, length: number): void {
    const slab = this.#slab!;
    if (typeof chunk === 'string') this.#text += chunk;
    else {
      this.pack();
      slab.bytes.set(chunk, this.#start + this.#filled);
      this.#filled += length;
    }
    this.length += length;
    slab.used += length;
    if (typeof chunk === 'string' && isHighSurrogate(chunk.charCodeAt(chunk.length - 1))) this.pack();
  }

  /** Taken back by its signal: nothing of it is kept but its place. */
  get isWithdrawn(): boolean {
    return this.#bytes === WITHDRAWN;
  }

  withdraw(): void {
    this.#bytes = WITHDRAWN;
  }

  /** All of it; from then on, nothing may join it. */
  get data(): string | Uint8Array {
    if (this.#bytes) return this.#bytes;
    if (this.#filled === 0) return this.#text;
    this.pack();
    this.#bytes = this.#slab!.bytes.subarray(this.#start, this.#start + this.length);
    return this.#bytes;
  }

  /** Encodes the text: thousands of joined strings take more memory than their bytes. */
  pack(): void {
    if (this.#text === '') return;
    this.#filled += this.#slab!.bytes.write(this.#text, this.#start + this.#filled);
    this.#text = '';
  }
}

/** The first half of a pair (UTF-16): with the next chunk's first character it would become what nobody wrote. */
const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code < 0xdc00;
