import { Fifo } from './fifo.js';
import { type Reader, type Result, type Run, type Slot, value } from './reader.js';

/** What came in with one chunk of bytes. */
interface Batch<In> extends Run<In> {
  readonly messages: In[];
  bytes: number;
}

/** Little by little, a batch grows up to this many bytes. */
const JOINED = 64 * 1024;

/** How a section takes things in. */
export interface SectionOptions {
  /** The messages are the bytes, so that their boundaries mean nothing. */
  readonly raw: boolean;
}

/** What a section needs of the inbox that it is a part of. */
export interface SectionHost<In, L> {
  /** Bytes received and not read, of all sections. */
  size: number;
  /** Sections of which something was not read. */
  unreadLinks: number;
  /** More is unread than there may be. */
  readonly full: boolean;
  /** Somebody reads, or is between two reads. */
  readonly reading: boolean;
  readonly options: SectionOptions;
  /** Bytes came that nobody will read. */
  dropped(bytes: number): void;
  /** There is something to be read of this section, or it is over. */
  wake(section: Section<In, L>): void;
  /** Nothing more will come of this section. */
  closed(section: Section<In, L>): void;
  /** Something was read. */
  roomier(): void;
  /** Something else made room. */
  resume(): void;
}

/** Where a section's messages come from. */
export interface Feed {
  /** It may go on: there is room again, or somebody waits. */
  onRoom(): void;
}

/** What one link sent. */
export class Section<In, L> implements Slot {
  readonly link: L;
  owner: Reader<unknown> | undefined;
  feed: Feed | undefined;
  readonly #inbox: SectionHost<In, L>;
  readonly #batches = new Fifo<Batch<In>>();
  /** Bytes that came without completing a message, if the decoder doesn't count them itself. */
  #carried = 0;
  #reader: Reader<In> | undefined;
  #held = true;
  #wasUp = false;
  #closed = false;
  #dropping = false;
  #onlyIfRead = false;

  constructor(inbox: SectionHost<In, L>, link: L) {
    this.#inbox = inbox;
    this.link = link;
  }

  /** Only the link itself reads it as yet (`onLink`). */
  get held(): boolean {
    return this.#held;
  }

  /** The link came up; if not, the attempt is in `onLink`, or has failed. */
  get wasUp(): boolean {
    return this.#wasUp;
  }

  /** The link is lost: nothing more will come. */
  get closed(): boolean {
    return this.#closed;
  }

  get empty(): boolean {
    return this.#batches.length === 0;
  }

  /** What is to be read first. */
  get run(): Run<In> | undefined {
    return this.#batches.first;
  }

  /** What comes is dropped, so that it need not be decoded. */
  get dropping(): boolean {
    return this.#dropping;
  }

  /** The source should stop: more is unread than the high-water mark allows, and nobody waits for this link's. */
  get full(): boolean {
    return !this.#dropping && this.#inbox.full && this.#reader?.hungry !== true;
  }

  push(messages: In[], bytes: number): void {
    if (this.#onlyIfRead && !this.#inbox.reading) this.drop();
    if (this.#dropping || this.#closed) this.#inbox.dropped(bytes);
    else {
      this.#carried += bytes;
      if (messages.length === 0) return;
      this.#inbox.size += this.#carried;
      if (this.empty) this.#inbox.unreadLinks += 1;
      if (!this.#join(messages, this.#carried)) this.#batches.push({ messages, bytes: this.#carried, read: 0 });
      this.#carried = 0;
      this.#inbox.wake(this);
    }
  }

  /** Somebody waits for this link's messages, however much of others is unread. */
  awaited(reader: Reader<In>): void {
    this.#reader = reader;
    this.resume();
  }

  /** The link is up: what it sent and will send is for whoever reads the connection. */
  release(): void {
    this.#held = false;
    this.#wasUp = true;
    this.#inbox.wake(this);
  }

  /** The connection is ending: what comes now is for somebody who reads already, and dropped once nobody does. */
  onlyIfRead(): void {
    this.#onlyIfRead = true;
    this.attend();
  }

  /** A reader has come or gone: nobody waits for a source that nobody will make room for. */
  attend(): void {
    if (this.#onlyIfRead && this.full && !this.#inbox.reading) this.drop();
  }

  /** From here on, what comes is dropped. */
  drop(): void {
    this.#dropping = true;
    this.resume();
  }

  /** Drops what is unread, and what comes. */
  skip(): void {
    if (!this.empty) this.#inbox.unreadLinks -= 1;
    for (let batch = this.#batches.shift(); batch; batch = this.#batches.shift()) {
      this.#inbox.dropped(batch.bytes);
      this.#inbox.size -= batch.bytes;
      batch.read = batch.messages.length;
    }
    this.drop();
    // What is gone makes room for a later link, too.
    this.#inbox.resume();
  }

  /** The link is lost. */
  close(): void {
    if (this.#closed) return;
    this.#held = false;
    this.#closed = true;
    this.#inbox.dropped(this.#carried);
    this.#inbox.closed(this);
  }

  takeMessage(): Result<In> | undefined {
    const batch = this.#batches.first;
    if (batch === undefined) return undefined;
    const message = batch.messages[batch.read++] as In;
    if (batch.read === batch.messages.length) this.#finished(batch);
    return value(message);
  }

  /** All that is ready, as one array. */
  takeBatch(): Result<In[]> | undefined {
    if (this.empty) return undefined;
    const all: In[][] = [];
    for (let batch = this.#batches.first; batch; batch = this.#batches.first) {
      all.push(batch.read === 0 ? batch.messages : batch.messages.slice(batch.read));
      this.#finished(batch);
    }
    return value(all.length === 1 ? (all[0] as In[]) : all.flat());
  }

  /** Lets the source go on, if it may. */
  resume(): void {
    if (!this.#closed && !this.full) this.feed?.onRoom();
  }

  #finished(batch: Batch<In>): void {
    this.#batches.shift();
    this.#inbox.size -= batch.bytes;
    if (this.empty) this.#inbox.unreadLinks -= 1;
    this.#inbox.roomier();
  }

  /**
   * A peer that trickles must not cost an object for each of its bytes: what is little joins what is there, and a raw
   * chunk that lies right behind the last one in memory becomes a part of it.
   */
  #join(messages: In[], bytes: number): boolean {
    const last = this.#batches.last;
    if (last === undefined || last.bytes + bytes > JOINED) return false;
    last.bytes += bytes;
    const before = last.messages.at(-1);
    const [chunk] = messages;
    const unread = last.read < last.messages.length;
    if (this.#inbox.options.raw && unread && Buffer.isBuffer(before) && Buffer.isBuffer(chunk) && follows(before, chunk)) {
      last.messages[last.messages.length - 1] = Buffer.from(before.buffer, before.byteOffset, before.length + chunk.length) as In;
    } else for (const message of messages) last.messages.push(message);
    return true;
  }
}

const follows = (before: Buffer, chunk: Buffer): boolean =>
  before.buffer === chunk.buffer && before.byteOffset + before.length === chunk.byteOffset;
