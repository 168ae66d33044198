import { Fifo } from './fifo.js';
import { DONE, Reader, type Readable, type Result, type Run, Slot, value } from './reader.js';

/** What came in with one chunk of bytes. */
interface Batch<In> extends Run<In> {
  readonly messages: In[];
  bytes: number;
}

/** Little by little, a batch grows up to this many bytes. */
const JOINED = 64 * 1024;
/** What a link costs besides its bytes, about. Beyond a margin it counts against the mark, or short-lived links had none. */
const OVERHEAD = 4 * 1024;
const MARGIN = 1024 * 1024;

/** How an inbox takes things in. */
export interface InboxOptions {
  /** Bytes unread above which its sections are full. */
  readonly highWaterMark: number;
  /** The messages are the bytes, so that their boundaries mean nothing. */
  readonly raw: boolean;
  /** Told of bytes that came and that nobody will read. */
  readonly onDropped: (bytes: number) => void;
}

/**
 * What was received and not read: in order, link by link, bounded by the `highWaterMark` that its sections respect.
 * It knows where one link's messages end and the next one's begin, and nothing of sockets.
 *
 * One reader at a time reads it: message by message, batch by batch, or link by link.
 */
export class Inbox<In, L> {
  /** Bytes received and not read. */
  size = 0;
  /** Links of which something was not read. */
  unreadLinks = 0;
  readonly options: InboxOptions;
  readonly slot = new Slot();
  /** Oldest first. Only the last may still be open. */
  readonly #sections = new Fifo<Section<In, L>>();
  /** The section that the reader of links is in. */
  #visited: Section<In, L> | undefined;
  #end: { readonly error: unknown } | 'clean' | undefined;

  constructor(options: InboxOptions) {
    this.options = options;
  }

  /** Somebody reads, or is between two reads. */
  get reading(): boolean {
    return this.slot.owner !== undefined;
  }

  /** More is unread than the high-water mark allows, in bytes or in links of which there are some. */
  get full(): boolean {
    const { highWaterMark } = this.options;
    return this.size >= highWaterMark || this.#overhead > highWaterMark + MARGIN;
  }

  get #overhead(): number {
    return this.unreadLinks * OVERHEAD;
  }

  /** Begins what the next link sends. It is the link's alone until it is released. */
  open(link: L): Section<In, L> {
    const section: Section<In, L> = new Section<In, L>(this, link);
    this.#sections.push(section);
    return section;
  }

  /** Nothing more will come: readers find the end, or the error, after all that there is. */
  finish(end: { readonly error: unknown } | 'clean'): void {
    this.#end ??= end;
    this.wake();
  }

  /** Throws away what was not read. */
  clear(): void {
    for (let section = this.#sections.shift(); section; section = this.#sections.shift()) {
      section.skip();
      section.close();
    }
  }

  messages(): Reader<In> {
    return this.#reader(() => this.#front()?.takeMessage(), { run: () => this.#front()?.run });
  }

  batches(): Reader<In[]> {
    return this.#reader(() => this.#front()?.takeBatch());
  }

  links(): Reader<L> {
    return this.#reader(() => this.#nextLink(), {
      visits: true,
      left: () => {
        if (this.#visited) this.#forget(this.#visited);
        this.#visited = undefined;
      },
    });
  }

  /** Messages of one link alone: for `onLink`, and for the reader of links while it is at this one. */
  messagesOf(section: Section<In, L>): Reader<In> {
    // Nobody else has a use for what is held or visited, nor for where nothing is left.
    const isOver = (): boolean => section.empty && (section.closed || section.dropping);
    const isOwn = (): boolean => section.held || section === this.#visited || isOver();
    const reader: Reader<In> = new Reader<In>({
      take: () => section.takeMessage() ?? (section.closed ? DONE : undefined),
      slot: () => (isOwn() ? section.slot : this.slot),
      hungry: () => section.awaited(reader),
      left: () => section.attend(),
    });
    return reader;
  }

  wake(section?: Section<In, L>): void {
    section?.slot.owner?.wake();
    this.slot.owner?.wake();
  }

  /** A link's part is complete. An empty one is forgotten, unless somebody visits each link that was up. */
  closed(section: Section<In, L>): void {
    const visited = section.wasUp && this.slot.owner?.visits;
    // A handshake that fails again and again must not fill the memory with what it left unread, nor keep the next from
    // being heard.
    if (!section.wasUp && (this.full || this.#overhead > MARGIN / 2)) section.skip();
    if (!visited) this.#forget(section);
    this.wake(section);
  }

  /** Puts away the oldest or the newest section, if it is over. */
  #forget(section: Section<In, L>): void {
    if (!section.closed || !section.empty) return;
    if (this.#sections.first === section) this.#sections.shift();
    else if (this.#sections.last === section) this.#sections.pop();
  }

  /** Something was read: what is read to the end is put away, and the newest link may have room. */
  roomier(): void {
    if (!this.#visited) this.#tidy();
    this.resume();
  }

  /** The newest link may have room. */
  resume(): void {
    this.#sections.last?.resume();
  }

  #reader<T>(take: () => Result<T> | undefined, more: Pick<Readable<T>, 'run' | 'visits' | 'left'> = {}): Reader<T> {
    return new Reader({
      ...more,
      take: () => take() ?? this.#ended(),
      slot: () => this.slot,
      left: () => {
        more.left?.();
        this.#sections.last?.attend();
      },
    });
  }

  /** Errors come after everything that was received. */
  #ended(): Result<never> | undefined {
    if (this.#end === undefined || this.#sections.length > 0) return undefined;
    if (this.#end === 'clean') return DONE;
    throw this.#end.error;
  }

  /** The section to read from, once those that are read to the end are put away. */
  #front(): Section<In, L> | undefined {
    this.#tidy();
    const front = this.#sections.first;
    return front?.held ? undefined : front;
  }

  #tidy(): void {
    for (let front = this.#sections.first; front?.closed && front.empty; front = this.#sections.first) this.#sections.shift();
  }

  /** Moving on to the next link skips what is left of this one, and what it may still send. */
  #nextLink(): Result<L> | undefined {
    const visited = this.#visited;
    if (visited !== undefined) {
      visited.skip();
      if (!visited.closed) return undefined;
      if (this.#sections.first === visited) this.#sections.shift();
      this.#visited = undefined;
    }
    for (let front = this.#sections.first; front !== undefined && !front.held; front = this.#sections.first) {
      if (front.wasUp) {
        this.#visited = front;
        return value(front.link);
      }
      front.skip();
      this.#sections.shift();
    }
    return undefined;
  }
}

/** What one link sent. */
export class Section<In, L> {
  readonly link: L;
  readonly slot = new Slot();
  /** Told when the source may go on: there is room again, or somebody waits. */
  onRoom: () => void = () => {};
  readonly #inbox: Inbox<In, L>;
  readonly #batches = new Fifo<Batch<In>>();
  /** Bytes that came without completing a message, if the decoder doesn't count them itself. */
  #carried = 0;
  #reader: Reader<In> | undefined;
  #held = true;
  #wasUp = false;
  #closed = false;
  #dropping = false;
  #onlyIfRead = false;

  constructor(inbox: Inbox<In, L>, link: L) {
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
    if (this.#dropping || this.#closed) this.#inbox.options.onDropped(bytes);
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
      this.#inbox.options.onDropped(batch.bytes);
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
    this.#inbox.options.onDropped(this.#carried);
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
    if (!this.#closed && !this.full) this.onRoom();
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
