import { type Codec, decode, type Decoder, encode } from '../../src/codec.js';
import { Inbox } from '../../src/inbox.js';
import { Outbox, type Part, type Sink } from '../../src/outbox.js';
import { rejected } from '../../src/promises.js';
import type { Section } from '../../src/section.js';
import { FIN, type ModelOptions } from './connection.js';
import { codecOf, type Iterated, latin1, type Manner, type Results, type Wiretap, type World } from './world.js';

/** The outbox and the inbox alone, with as little of a connection around them as will do. */
export class Bare implements World {
  readonly #tap: Wiretap;
  readonly #codec: Codec<any, any>;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox<any, Iterated>;
  #link: BareLink | undefined;
  #lost: BareLink | undefined;
  /** What came and was not taken in, for want of room. */
  #arrived: (Buffer | typeof FIN)[] = [];
  #isOver = false;
  #saidGoodbye = false;
  #links = 0;
  #drains = 0;
  #bytesRead = 0;
  readonly #counters = { bytesDiscarded: 0 };

  constructor(options: ModelOptions, tap: Wiretap) {
    const { inLines, highWaterMark, maxBufferedAmount, unflushed } = options;
    this.#tap = tap;
    this.#codec = codecOf(options);
    this.#outbox = new Outbox({ maxBufferedAmount, unflushed }, () => (this.#drains += 1));
    this.#inbox = new Inbox({ highWaterMark, raw: !inLines }, this.#counters);
  }

  observe(): Record<string, unknown> {
    return {
      phase: this.#isOver ? 'over' : this.#link ? 'up' : 'dialling',
      saidGoodbye: this.#saidGoodbye,
      bufferedAmount: this.#outbox.size,
      drains: this.#drains,
      bytesRead: this.#bytesRead,
      bytesDiscarded: this.#counters.bytesDiscarded,
      links: this.#links,
    };
  }

  write(message: string | Uint8Array, signal?: AbortSignal): Promise<void> {
    try {
      return this.#outbox.push(encode(this.#codec, message), signal);
    } catch (error) {
      return rejected(error);
    }
  }

  end(): undefined {
    if (this.#isOver || this.#outbox.closed) return;
    this.#outbox.close().then(
      () => this.#goodbye(),
      () => {},
    );
  }

  destroy(error?: Error): void {
    if (this.#isOver) return;
    this.#inbox.clear();
    this.#finish(error);
    if (this.#link) this.fail(error);
  }

  messages(): Results {
    return this.#inbox.messages();
  }

  batches(): Results {
    return this.#inbox.batches();
  }

  links(): Results {
    return this.#inbox.links();
  }

  dialled(manner: Manner): void {
    this.#links += 1;
    this.#link = new BareLink(this.#links, this.#inbox, this.#codec.decoder(), new FakeSink(this.#tap, manner));
    // As a stream does, it goes on a moment after it is told to.
    this.#link.section.feed = { onRoom: () => queueMicrotask(() => this.#takeIn()) };
    this.#link.section.release();
    this.#outbox.attach(this.#link.sink);
  }

  take(length: number): void {
    this.#link!.sink.take(length);
  }

  takeLate(): void {
    this.#lost?.sink.take(Infinity);
  }

  arrive(bytes: string): void {
    this.#arrived.push(Buffer.from(bytes, 'latin1'));
    this.#takeIn();
  }

  sayGoodbye(): void {
    this.#arrived.push(FIN);
    this.#takeIn();
  }

  fail(error?: Error): void {
    const link = this.#link!;
    link.sink.open = false;
    for (const item of this.#arrived.splice(0)) if (item !== FIN) this.#receive(item);
    this.#counters.bytesDiscarded += link.unfinished;
    this.#link = undefined;
    this.#lost = link;
    link.section.close();
    this.#outbox.detach(error);
    if (this.#outbox.done) this.#finish();
  }

  #takeIn(): void {
    while (this.#link && !this.#link.section.full && this.#arrived.length > 0) {
      const item = this.#arrived.shift()!;
      if (item === FIN) this.fail();
      else this.#receive(item);
    }
  }

  #receive(bytes: Buffer): void {
    this.#bytesRead += bytes.length;
    this.#link!.receive(bytes);
  }

  #goodbye(): void {
    this.#saidGoodbye = this.#link !== undefined;
    if (this.#link) this.#link.section.onlyIfRead();
    else this.#finish();
  }

  #finish(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#outbox.fail(error);
    this.#inbox.finish(error ? { error } : 'clean');
  }
}

/** A link for the inbox, which has its section, and for the outbox, which has its sink. */
class BareLink implements Iterated {
  readonly number: number;
  readonly section: Section<any, Iterated>;
  readonly sink: FakeSink;
  readonly #inbox: Inbox<any, Iterated>;
  readonly #decoder: Decoder<any>;

  constructor(number: number, inbox: Inbox<any, Iterated>, decoder: Decoder<any>, sink: FakeSink) {
    this.number = number;
    this.sink = sink;
    this.#inbox = inbox;
    this.#decoder = decoder;
    this.section = inbox.open(this);
  }

  [Symbol.asyncIterator](): Results {
    return this.#inbox.messagesOf(this.section);
  }

  /** Bytes of a message begun and not finished. */
  get unfinished(): number {
    return this.#decoder.pending?.() ?? 0;
  }

  receive(bytes: Buffer): void {
    if (this.section.discarding) return this.section.push([], bytes.length);
    const before = this.unfinished;
    const { messages } = decode(this.#decoder, bytes);
    this.section.push(messages, before + bytes.length - this.unfinished);
  }
}

/** Takes what it is sent byte by byte, if the test wants it so. */
class FakeSink implements Sink {
  open = true;
  readonly #tap: Wiretap;
  readonly #manner: Manner;
  /** What was handed over and not taken: how many bytes, and whom to tell. */
  readonly #pieces: { left: number; readonly taken: (bytes: number) => void }[] = [];

  constructor(tap: Wiretap, manner: Manner) {
    this.#tap = tap;
    this.#manner = manner;
  }

  send(parts: readonly Part[], taken: (bytes: number) => void): boolean {
    const bytes = parts.map(({ data }) => latin1(data)).join('');
    if (bytes === '') {
      taken(0);
      return true;
    }
    this.#tap.handed(bytes, this.#manner !== 'when told');
    this.#pieces.push({ left: bytes.length, taken });
    if (this.#manner === 'at once') this.take(bytes.length);
    return this.#manner !== 'when told';
  }

  take(length: number): void {
    let rest = length;
    for (let piece = this.#pieces[0]; piece && rest > 0; piece = this.#pieces[0]) {
      const part = Math.min(rest, piece.left);
      rest -= part;
      piece.left -= part;
      if (piece.left === 0) this.#pieces.shift();
      if (this.open) this.#tap.taken(part);
      piece.taken(part);
    }
  }
}
