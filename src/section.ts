import { Fifo } from './fifo.js';
import { type Lock, type Reader, type Result, type Run, yielded } from './reader.js';

/** What came in with one chunk of bytes. */
interface Arrival<In> extends Run<In> {
  readonly messages: In[];
  bytes: number;
}

/** Small arrivals are joined up to this many bytes. */
const JOIN_LIMIT = 64 * 1024;

/** How a section takes things in. */
export interface SectionOptions {
  /** The messages are the bytes, so that their boundaries mean nothing. */
  readonly raw: boolean;
}

/** What a section needs of the inbox that it is a part of. */
export interface SectionHost<In, L> {
  /** More is unread than there may be. */
  readonly full: boolean;
  /** Somebody reads, or is between two reads. */
  readonly reading: boolean;
  readonly options: SectionOptions;
  /** So many more bytes are unread, in so many more sections; fewer, if it is below 0. */
  unread(bytes: number, sections: number): void;
  /** Bytes came that nobody will read. */
  discarded(bytes: number): void;
  /** There is something to read in this section, or it is over. */
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
export class Section<In, L> implements Lock {
  readonly link: L;
  holder: Reader<unknown> | undefined;
  feed: Feed | undefined;
  readonly #inbox: SectionHost<In, L>;
  readonly #arrivals = new Fifo<Arrival<In>>();
  /** Bytes received since the last complete message, unless `pending()` counts them. */
  #carried = 0;
  #reader: Reader<In> | undefined;
  #wasUp = false;
  #closed = false;
  #discarding = false;
  #onlyIfRead = false;

  constructor(inbox: SectionHost<In, L>, link: L) {
    this.#inbox = inbox;
    this.link = link;
  }

  /** Only the link itself reads it as yet (`onLink`). */
  get reserved(): boolean {
    return !this.#wasUp && !this.#closed;
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
    return this.#arrivals.length === 0;
  }

  /** What is to be read first. */
  get run(): Run<In> | undefined {
    return this.#arrivals.first;
  }

  /** What comes is discarded, so that it need not be decoded. */
  get discarding(): boolean {
    return this.#discarding;
  }

  /** The source should stop: more is unread than the high-water mark allows, and nobody waits for this link's. */
  get full(): boolean {
    return !this.#discarding && this.#inbox.full && this.#reader?.hungry !== true;
  }

  push(messages: In[], bytes: number): void {
    if (this.#onlyIfRead && !this.#inbox.reading) this.discardRest();
    if (this.#discarding || this.#closed) this.#inbox.discarded(bytes);
    else {
      this.#carried += bytes;
      if (messages.length === 0) return;
      this.#inbox.unread(this.#carried, Number(this.empty));
      if (!this.#join(messages, this.#carried)) this.#arrivals.push({ messages, bytes: this.#carried, read: 0 });
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
    this.#wasUp = true;
    this.#inbox.wake(this);
  }

  /** The connection is ending: what comes now is for somebody who reads already, and discarded once nobody does. */
  onlyIfRead(): void {
    this.#onlyIfRead = true;
    this.discardIfUnread();
  }

  /**
   * A reader has gone, or the connection is ending. A full section that nobody reads would stay paused, and never hear the
   * peer's goodbye: from here on, what comes is discarded.
   */
  discardIfUnread(): void {
    if (this.#onlyIfRead && this.full && !this.#inbox.reading) this.discardRest();
  }

  /** From here on, what comes is discarded. */
  discardRest(): void {
    this.#discarding = true;
    this.resume();
  }

  /** Discards what is unread, and what comes. */
  skip(): void {
    for (let arrival = this.#arrivals.shift(); arrival; arrival = this.#arrivals.shift()) {
      this.#inbox.discarded(arrival.bytes);
      this.#inbox.unread(-arrival.bytes, -Number(this.empty));
      arrival.read = arrival.messages.length;
    }
    this.discardRest();
    // What is gone makes room for a later link, too.
    this.#inbox.resume();
  }

  /** The link is lost. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#inbox.discarded(this.#carried);
    this.#inbox.closed(this);
  }

  takeMessage(): Result<In> | undefined {
    const arrival = this.#arrivals.first;
    if (arrival === undefined) return undefined;
    const message = arrival.messages[arrival.read++] as In;
    if (arrival.read === arrival.messages.length) this.#finished(arrival);
    return yielded(message);
  }

  /** All that is ready, as one array. */
  takeBatch(): Result<In[]> | undefined {
    if (this.empty) return undefined;
    const all: In[][] = [];
    for (let arrival = this.#arrivals.first; arrival; arrival = this.#arrivals.first) {
      all.push(arrival.read === 0 ? arrival.messages : arrival.messages.slice(arrival.read));
      this.#finished(arrival);
    }
    return yielded(all.length === 1 ? (all[0] as In[]) : all.flat());
  }

  /** Lets the source go on, if it may. */
  resume(): void {
    if (!this.#closed && !this.full) this.feed?.onRoom();
  }

  #finished(arrival: Arrival<In>): void {
    this.#arrivals.shift();
    this.#inbox.unread(-arrival.bytes, -Number(this.empty));
    this.#inbox.roomier();
  }

  /**
   * A peer that trickles must not cost an object for each of its bytes: what is little joins what is there, and a raw
   * chunk that lies right behind the last one in memory becomes a part of it.
   */
  #join(messages: In[], bytes: number): boolean {
    const last = this.#arrivals.last;
    if (last === undefined || last.bytes + bytes > JOIN_LIMIT) return false;
    last.bytes += bytes;
    const before = last.messages.at(-1);
    const [chunk] = messages;
    if (this.#inbox.options.raw && Buffer.isBuffer(before) && Buffer.isBuffer(chunk) && follows(before, chunk)) {
      last.messages[last.messages.length - 1] = Buffer.from(before.buffer, before.byteOffset, before.length + chunk.length) as In;
    } else for (const message of messages) last.messages.push(message);
    return true;
  }
}

const follows = (before: Buffer, chunk: Buffer): boolean =>
  before.buffer === chunk.buffer && before.byteOffset + before.length === chunk.byteOffset;
