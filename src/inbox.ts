import { Fifo } from './fifo.js';
import { DONE, type Lock, Reader, type ReaderSource, type Result, yielded } from './reader.js';
import { Section, type SectionHost, type SectionOptions } from './section.js';
import type { Counters } from './stats.js';

/** What a link costs besides its bytes, about. Past a margin it counts against the mark, which many links of few bytes would never reach. */
const OVERHEAD = 4 * 1024;
const MARGIN = 1024 * 1024;

/** How a connection ended. */
export type Outcome = 'clean' | { readonly error: unknown };

/** How an inbox takes things in. */
export interface InboxOptions extends SectionOptions {
  /** Bytes unread above which its sections are full. */
  readonly highWaterMark: number;
}

/**
 * What was received and not read: in order, link by link, bounded by the `highWaterMark` that its sections respect.
 * It knows where one link's messages end and the next one's begin, and nothing of sockets.
 *
 * One reader at a time reads it: message by message, batch by batch, or link by link.
 */
export class Inbox<In, L> implements SectionHost<In, L>, Lock {
  readonly options: InboxOptions;
  holder: Reader<unknown> | undefined;
  readonly #counters: Pick<Counters, 'bytesDiscarded'>;
  /** Oldest first. Only the last may still be open. */
  readonly #sections = new Fifo<Section<In, L>>();
  /** The section that the reader of links is in. */
  #visited: Section<In, L> | undefined;
  #size = 0;
  /** Sections of which something was not read. */
  #unreadSections = 0;
  #outcome: Outcome | undefined;

  constructor(options: InboxOptions, counters: Pick<Counters, 'bytesDiscarded'>) {
    this.options = options;
    this.#counters = counters;
  }

  /** Bytes received and not read. */
  get size(): number {
    return this.#size;
  }

  /** Somebody reads, or is between two reads. */
  get reading(): boolean {
    return this.holder !== undefined;
  }

  /** More is unread than the high-water mark allows, in bytes or in links of which there are some. */
  get full(): boolean {
    const { highWaterMark } = this.options;
    return this.#size >= highWaterMark || this.#overhead > highWaterMark + MARGIN;
  }

  get #overhead(): number {
    return this.#unreadSections * OVERHEAD;
  }

  /** Begins what the next link sends. It is the link's alone until it is released. */
  open(link: L): Section<In, L> {
    const section: Section<In, L> = new Section<In, L>(this, link);
    this.#sections.push(section);
    return section;
  }

  /** Nothing more will come: readers find the end, or the error, after all that there is. */
  finish(outcome: Outcome): void {
    this.#outcome ??= outcome;
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
      onLeave: () => {
        if (this.#visited) this.#forget(this.#visited);
        this.#visited = undefined;
      },
    });
  }

  /** Messages of one link alone: for `onLink`, and for the reader of `links()` while it is at this one. */
  messagesOf(section: Section<In, L>): Reader<In> {
    // Locked on its own where no reader of the connection can interfere: in `onLink`, while `links()` is at it, and once nothing
    // is left.
    const isOver = (): boolean => section.empty && (section.closed || section.discarding);
    const isOwn = (): boolean => section.reserved || section === this.#visited || isOver();
    const reader: Reader<In> = new Reader<In>({
      take: () => section.takeMessage() ?? (section.closed ? DONE : undefined),
      lock: () => (isOwn() ? section : this),
      onWait: () => section.awaited(reader),
      onLeave: () => section.discardIfUnread(),
    });
    return reader;
  }

  wake(section?: Section<In, L>): void {
    section?.holder?.wake();
    this.holder?.wake();
  }

  /** A link's part is complete. An empty one is forgotten, unless somebody visits each link that was up. */
  closed(section: Section<In, L>): void {
    const willBeVisited = section.wasUp && this.holder?.visits;
    // Handshakes that fail again and again must not fill the memory with what they left unread, nor keep the next link from
    // being read.
    if (!section.wasUp && (this.full || this.#overhead > MARGIN / 2)) section.skip();
    if (!willBeVisited) this.#forget(section);
    this.wake(section);
  }

  /** Puts away the oldest or the newest section, if it is over. */
  #forget(section: Section<In, L>): void {
    if (!section.closed || !section.empty) return;
    if (this.#sections.first === section) this.#sections.shift();
    else if (this.#sections.last === section) this.#sections.pop();
  }

  unread(bytes: number, sections: number): void {
    this.#size += bytes;
    this.#unreadSections += sections;
  }

  discarded(bytes: number): void {
    this.#counters.bytesDiscarded += bytes;
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

  #reader<T>(take: () => Result<T> | undefined, { run, visits, onLeave }: Pick<ReaderSource<T>, 'run' | 'visits' | 'onLeave'> = {}): Reader<T> {
    // Not spread: V8 would give each a hidden class of its own.
    return new Reader({
      run,
      visits,
      take: () => take() ?? this.#ended(),
      lock: () => this,
      onLeave: () => {
        onLeave?.();
        this.#sections.last?.discardIfUnread();
      },
    });
  }

  /** Errors come after everything that was received. */
  #ended(): Result<never> | undefined {
    if (this.#outcome === undefined || this.#sections.length > 0) return undefined;
    if (this.#outcome === 'clean') return DONE;
    throw this.#outcome.error;
  }

  /** The section to read from, once those that are read to the end are put away. */
  #front(): Section<In, L> | undefined {
    this.#tidy();
    const front = this.#sections.first;
    return front?.reserved ? undefined : front;
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
    for (let front = this.#sections.first; front !== undefined && !front.reserved; front = this.#sections.first) {
      if (front.wasUp) {
        this.#visited = front;
        return yielded(front.link);
      }
      front.skip();
      this.#sections.shift();
    }
    return undefined;
  }
}
