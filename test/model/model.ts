/**
 * What sections 3 and 4 of the contract promise, in as few words as will do, and nothing of how: no byte is moved, no
 * time passes, nothing is awaited. `model.test.ts` drives it beside the real thing, which must agree.
 *
 * Where the promise leaves a choice (how much is handed over at once, which small writes share a promise, where a raw
 * chunk ends), the model is told what was chosen, and checks that the choice was there.
 *
 * Bytes are the characters of a latin1 string, so that they are cut, compared and counted with ease.
 */
import * as assert from 'uvu/assert';

/** What has become of a promise: `pending`, `done`, or the code or message of its rejection. */
export interface Promised {
  settled: string;
}

/** What shares a promise: one write, or small ones side by side. */
export interface Written extends Promised {
  bytes: string;
  readonly signal: unknown;
  /** It was handed to a link once, and may have been sent in part. */
  begun: boolean;
}

/** Up to this size, writes may share a promise. */
const SMALL = 4 * 1024;

/** Section 4. What was written is one row, served from the front. */
export class Outgoing {
  isClosed = false;
  /** How often `drain` was told. */
  drains = 0;
  #waiting: Written[] = [];
  #handed: Written[] = [];
  /** What the last of those handed over has still to send. */
  #unsent = '';
  /** Bytes of the first of them that are taken. */
  #taken = 0;
  #backlog = false;
  readonly #bound: number;
  readonly #resends: boolean;

  constructor(bound: number, unflushed: 'resend' | 'reject') {
    this.#bound = bound;
    this.#resends = unflushed === 'resend';
  }

  get size(): number {
    return [...this.#handed, ...this.#waiting].reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Something waits, and the link has nothing to do. */
  get isStuck(): boolean {
    return this.#handed.length === 0 && this.#waiting.length > 0;
  }

  /** Why a write is refused at once, if it is. Whoever finds no room waits for `drain`. */
  refusal(length: number): string | undefined {
    if (this.isClosed) return 'ERR_RECON_CLOSED';
    if (this.size + length <= this.#bound) return undefined;
    this.#backlog ||= this.size > 0;
    return 'ERR_RECON_BUFFER_FULL';
  }

  write(bytes: string, signal: unknown, isUp: boolean): Written {
    const written: Written = { bytes, signal, begun: false, settled: 'pending' };
    this.#waiting.push(written);
    this.#backlog ||= !isUp;
    return written;
  }

  /** A write has the promise of the one before it. */
  join(bytes: string, before: Written): void {
    assert.is(this.#waiting.at(-1), before, 'a write joins the last of those that wait');
    assert.ok(before.signal === undefined && bytes.length <= SMALL, 'what joins is small, and is not to be taken back');
    before.bytes += bytes;
  }

  /** These bytes are handed to the link, which takes them at once, or not. */
  send(bytes: string, atOnce: boolean): void {
    for (let left = bytes; left !== ''; ) {
      if (this.#unsent === '') this.#begin();
      const part = left.slice(0, this.#unsent.length);
      assert.ok(part !== '' && this.#unsent.startsWith(part), 'the next write goes out, from its beginning to its end');
      this.#unsent = this.#unsent.slice(part.length);
      left = left.slice(part.length);
    }
    this.#backlog ||= !atOnce;
  }

  #begin(): void {
    while (this.#unsent === '' && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      next.begun = true;
      this.#handed.push(next);
      this.#unsent = next.bytes;
    }
  }

  /** So many more bytes are taken. A write is flushed with its last byte; an empty one, when there is none before it. */
  take(length: number): void {
    this.#taken += length;
    for (let first = this.#handed[0]; first && first.bytes.length <= this.#taken; first = this.#handed[0]) {
      this.#taken -= first.bytes.length;
      this.#handed.shift();
      first.settled = 'done';
    }
    while (this.#handed.length === 0 && this.#waiting[0]?.bytes === '') this.#waiting.shift()!.settled = 'done';
    this.#left();
  }

  /** A signal takes back what has not begun. */
  takeBack(signal: unknown): void {
    const goes = (written: Written): boolean => written.signal === signal && !written.begun;
    for (const written of this.#waiting.filter(goes)) written.settled = 'aborted';
    this.#waiting = this.#waiting.filter((written) => !goes(written));
    this.#left();
  }

  /** The link is lost: what was handed over goes again, whole and first, or is refused. */
  drop(): void {
    const handed = this.#handed.splice(0);
    this.#unsent = '';
    this.#taken = 0;
    if (this.#resends) this.#waiting.unshift(...handed);
    else for (const written of handed) written.settled = 'ERR_RECON_UNFLUSHED';
    this.#backlog ||= this.size > 0;
    this.#left();
  }

  /** All is over, for what is left too. */
  finish(): void {
    for (const written of [...this.#handed.splice(0), ...this.#waiting.splice(0)]) written.settled = 'ERR_RECON_CLOSED';
    this.#backlog = false;
    this.isClosed = true;
  }

  #left(): void {
    if (!this.#backlog || this.#waiting.length + this.#handed.length > 0) return;
    this.#backlog = false;
    this.drains += 1;
  }
}

/** What came on one link and was not read. */
export interface Received {
  readonly link: number;
  bytes: string;
  isUp: boolean;
  isLost: boolean;
  /** What still comes is dropped. */
  isSkipped: boolean;
}

/** Somebody who reads: everything, link after link; or one link alone, which a loop over the links is at. */
export interface Reading {
  readonly by: 'message' | 'batch' | 'link';
  readonly of?: Received;
  isWaiting: boolean;
  isDone: boolean;
}

/** Section 3. What was received is one row of links, read from the front by one reader at a time. */
export class Incoming {
  /** Bytes that came and that nobody will read. */
  discarded = 0;
  /** Where a loop over the links is. */
  visited: Received | undefined;
  #row: Received[] = [];
  #reader: Reading | undefined;
  #end: string | undefined;
  readonly #inLines: boolean;

  constructor(inLines: boolean) {
    this.#inLines = inLines;
  }

  get isRead(): boolean {
    return this.#reader !== undefined;
  }

  /** Bytes unread, of messages that are complete. */
  get size(): number {
    return this.#row.reduce((sum, received) => sum + this.#complete(received), 0);
  }

  open(link: number): Received {
    const received: Received = { link, bytes: '', isUp: false, isLost: false, isSkipped: false };
    this.#row.push(received);
    return received;
  }

  receive(received: Received, bytes: string): void {
    if (received.isSkipped) this.discarded += bytes.length;
    else received.bytes += bytes;
  }

  /** From here on, what comes is dropped, and the message that it completes; what is unread stays. */
  refuse(received: Received, bytes: string): void {
    const unread = this.#complete(received);
    received.bytes += bytes;
    const complete = this.#complete(received);
    received.bytes = received.bytes.slice(0, unread) + received.bytes.slice(complete);
    received.isSkipped = true;
    this.discarded += complete - unread;
  }

  /** What is unread of a link is dropped, and what still comes. */
  skip(received: Received): void {
    this.discarded += this.#complete(received);
    received.bytes = received.bytes.slice(this.#complete(received));
    received.isSkipped = true;
  }

  /** A link is lost: what it sent stays, but for a message begun and not finished. Returns the bytes of that. */
  lose(received: Received): number {
    const rest = received.bytes.slice(this.#complete(received)).length;
    received.bytes = received.bytes.slice(0, this.#complete(received));
    received.isLost = true;
    this.discarded += rest;
    // A loop over the links comes to each that was up, though it sent nothing.
    if (!received.isUp || this.#reader?.by !== 'link') this.#forget(received);
    this.#passOver();
    return rest;
  }

  clear(): void {
    for (const received of this.#row.splice(0)) this.skip(received);
  }

  finish(end: string): void {
    this.#end = end;
  }

  /** A reader asks for more. Returns whether it may; moving on to the next link skips what is left of this one. */
  ask(reader: Reading): boolean {
    if (!reader.isDone && !reader.of) {
      this.#reader ??= reader;
      if (this.#reader !== reader) return false;
      if (this.visited) this.skip(this.visited);
    }
    reader.isWaiting = true;
    this.#passOver();
    return true;
  }

  /** Whether a reader that asks must be given something. */
  serves(reader: Reading): boolean {
    if (reader.isDone) return true;
    if (reader.of) return this.#complete(reader.of) > 0 || reader.of.isLost;
    return this.#isOver || (reader.by === 'link' ? this.#next !== undefined : this.#complete(this.#front) > 0);
  }

  /** A reader was given messages: the next ones, of one link; all of them, if it found them `ready` and takes batches. */
  gotMessages(reader: Reading, bytes: string, ready: boolean): void {
    reader.isWaiting = false;
    const received = reader.of ?? this.#front!;
    const isLine = this.#inLines && reader.by !== 'batch';
    const most = isLine ? received.bytes.indexOf('\n') + 1 : this.#complete(received);
    const least = isLine || (ready && reader.by === 'batch') ? most : 1;
    assert.ok(received.bytes.startsWith(bytes), 'what is read is what comes next, and of one link');
    assert.ok(bytes.length <= most && bytes.length >= least, 'what is read is a message, or a batch of all that is ready');
    received.bytes = received.bytes.slice(bytes.length);
    if (!this.visited) this.#tidy();
  }

  gotLink(reader: Reading, link: number): void {
    reader.isWaiting = false;
    const next = this.#next;
    assert.is(link, next?.link, 'each link comes in turn');
    for (const passed of this.#row.splice(0, this.#row.indexOf(next!))) if (passed !== this.visited) this.skip(passed);
    this.visited = next;
  }

  gotEnd(reader: Reading, end: string): void {
    const isOver = reader.isDone || (reader.of ? reader.of.isLost && reader.of.bytes === '' : this.#isOver);
    assert.ok(isOver, 'the end comes after all that was received');
    assert.is(end, reader.isDone || reader.of ? 'done' : this.#end, 'the end is as it was');
    this.leave(reader);
  }

  /** `break`: the next reader goes on from here. */
  leave(reader: Reading): void {
    reader.isWaiting = false;
    reader.isDone = true;
    if (this.#reader !== reader) return;
    this.#reader = undefined;
    if (this.visited) this.#forget(this.visited);
    this.visited = undefined;
  }

  /** The link to be read from. One that is not up yet is nobody else's. */
  get #front(): Received | undefined {
    this.#tidy();
    const front = this.#row[0];
    return front?.isUp || front?.isLost ? front : undefined;
  }

  /** The link that a loop over the links comes to. */
  get #next(): Received | undefined {
    if (this.visited && !this.visited.isLost) return undefined;
    return this.#row.find((received) => received.isUp && received !== this.visited);
  }

  /** Nothing is left, and nothing will come. */
  get #isOver(): boolean {
    return this.#end !== undefined && (this.#reader?.by === 'link' ? this.#next : this.#front) === undefined;
  }

  /** How many bytes are those of complete messages. */
  #complete(received: Received | undefined): number {
    if (received === undefined) return 0;
    return this.#inLines ? received.bytes.lastIndexOf('\n') + 1 : received.bytes.length;
  }

  /** Who waits for the next link passes over attempts that failed. */
  #passOver(): void {
    if (this.#reader?.by !== 'link' || !this.#reader.isWaiting || this.#next) return;
    for (const received of this.#row) if (received.isLost && received !== this.visited) this.skip(received);
  }

  #forget(received: Received): void {
    if (received.isLost && received.bytes === '') this.#row = this.#row.filter((other) => other !== received);
  }

  #tidy(): void {
    while (this.#row[0]?.isLost && this.#row[0].bytes === '') this.#row.shift();
  }
}
