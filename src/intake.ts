import { decode, type Decoder } from './codec.js';
import type { ReconError } from './errors.js';
import type { Section } from './section.js';

const noDecoder: Decoder<never> = () => [];

/** What an intake needs of the link that it is a part of. */
export interface IntakeHost {
  /** A decoder threw this; the messages before it are in the section. */
  onUnreadable(error: ReconError | TypeError): void;
}

/** Decodes what one link receives, chunk by chunk, and puts the messages into its section. */
export class Intake<In, L> {
  readonly #section: Section<In, L>;
  readonly #host: IntakeHost;
  #decoder: Decoder<In>;
  #decoding = false;
  /** Chunks that arrived while one was decoded: a stream in memory answers at once what the decoder writes to it. */
  #later: Buffer[] | undefined;

  constructor(decoder: Decoder<In>, section: Section<In, L>, host: IntakeHost) {
    this.#decoder = decoder;
    this.#section = section;
    this.#host = host;
  }

  /** A chunk is being decoded: its messages are not in the section yet. */
  get decoding(): boolean {
    return this.#decoding;
  }

  /** Bytes of a message that was begun and not finished. */
  get pending(): number {
    try {
      const pending = this.#decoder.pending?.();
      return Number.isSafeInteger(pending) ? Math.max(0, pending!) : 0;
    } catch {
      return 0;
    }
  }

  take(chunk: Buffer): void {
    if (this.#decoding) {
      this.#later ??= [];
      this.#later.push(chunk);
      return;
    }
    for (let next: Buffer | undefined = chunk; next; next = this.#later?.shift()) this.#decode(next);
  }

  /** Frees the decoder and its half message, even if somebody keeps the link. */
  close(): void {
    this.#decoder = noDecoder;
  }

  #decode(chunk: Buffer): void {
    if (this.#section.discarding) return this.#section.push([], chunk.length);
    this.#decoding = true;
    try {
      const before = this.pending;
      const { messages, error } = decode(this.#decoder, chunk);
      this.#section.push(messages, before + chunk.length - this.pending);
      if (!error) return;
      // What follows bytes that can't be read can't be read either.
      this.#section.discardRest();
      this.#host.onUnreadable(error);
    } finally {
      this.#decoding = false;
    }
  }
}
