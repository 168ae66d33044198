import { Fifo } from './fifo.js';
import { DONE, Reader, type Readable, type Result, type Slot, value } from './reader.js';
import { Section, type SectionHost, type SectionOptions } from './section.js';
import type { Counters } from './stats.js';

/** What a link costs besides its bytes, about. Beyond a margin it counts against the mark, or short-lived links had none. */
const OVERHEAD = 4 * 1024;
const MARGIN = 1024 * 1024;

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
export class Inbox<In, L> implements SectionHost<In, L>, Slot {
  /** Bytes received and not read. */
  size = 0;
  /** Links of which something was not read. */
  unreadLinks = 0;
  readonly options: InboxOptions;
  owner: Reader<unknown> | undefined;
  readonly #counters: Pick<Counters, 'bytesDiscarded'>;
  /** Oldest first. Only the last may still be open. */
  readonly #sections = new Fifo<Section<In, L>>();
  /** The section that the reader of links is in. */
  #visited: Section<In, L> | undefined;
  #end: { readonly error: unknown } | 'clean' | undefined;

  constructor(options: InboxOptions, counters: Pick<Counters, 'bytesDiscarded'>) {
    this.options = options;
    this.#counters = counters;
  }

  /** Somebody reads, or is between two reads. */
  get reading(): boolean {
    return this.owner !== undefined;
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
      slot: () => (isOwn() ? section : this),
      hungry: () => section.awaited(reader),
      left: () => section.attend(),
    });
    return reader;
  }

  wake(section?: Section<In, L>): void {
    section?.owner?.wake();
    this.owner?.wake();
  }

  /** A link's part is complete. An empty one is forgotten, unless somebody visits each link that was up. */
  closed(section: Section<In, L>): void {
    const visited = section.wasUp && this.owner?.visits;
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

  dropped(bytes: number): void {
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

  #reader<T>(take: () => Result<T> | undefined, { run, visits, left }: Pick<Readable<T>, 'run' | 'visits' | 'left'> = {}): Reader<T> {
    // Not spread: V8 would make a class of its own for each.
    return new Reader({
      run,
      visits,
      take: () => take() ?? this.#ended(),
      slot: () => this,
      left: () => {
        left?.();
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
