import type { BackendLink } from './backend.js';
import { type Dialect, HELLO, isHello } from './dialects.js';
import { excerpt } from './writes.js';

/** How far the reader has come in what one link of the server says. */
interface Cursor {
  /** Bytes read of this link. */
  read: number;
  /** The message that is being read, as bytes; how much of it has been read; the number of the one after it. */
  words: Buffer;
  at: number;
  next: number;
}

/**
 * What a client reads, checked against what the server says: link after link, and of each link its bytes from the first
 * one on. Where the reader isn't told whose link it reads, each link is known by its first message.
 */
export class Reading {
  readonly problems: string[] = [];
  /** Bytes read in all. */
  bytes = 0;
  /** The server's number of the link that the reader has come to. */
  position = -1;
  readonly #dialect: Dialect;
  readonly #find: (number: number) => BackendLink | undefined;
  readonly #cursors = new Map<BackendLink, Cursor>();
  /** The link being read, where the reader isn't told. */
  #link: BackendLink | undefined;
  /** As much of a link's first message as does not tell yet whose it is. */
  #beginning = Buffer.alloc(0);

  /** @param find - a link, by the server's number */
  constructor(dialect: Dialect, find: (number: number) => BackendLink | undefined) {
    this.#dialect = dialect;
    this.#find = find;
  }

  /** Bytes read of this link; undefined if none, or too few to tell that they are its. */
  of(link: BackendLink): number | undefined {
    return this.#cursors.get(link)?.read;
  }

  /** Nothing more will be read of this link. */
  forget(link: BackendLink): void {
    this.#cursors.delete(link);
  }

  /** A message that `onLink` has read, perhaps before the reader has come to this link. */
  takeAhead(message: unknown, link: BackendLink): void {
    this.#read(this.#counted(message), link);
  }

  /** A message that the reader has read, of this link if it was told. */
  take(message: unknown, link?: BackendLink): void {
    const bytes = this.#counted(message);
    if (link) {
      this.#moveTo(link);
      this.#read(bytes, link);
      return;
    }
    if (isHello(this.#dialect, bytes)) {
      this.#link = undefined;
      this.#beginning = Buffer.alloc(0);
    }
    if (this.#link) this.#read(bytes, this.#link);
    else {
      this.#beginning = Buffer.concat([this.#beginning, bytes]);
      this.#link = this.#identify();
      if (!this.#link) return;
      this.#moveTo(this.#link);
      this.#read(this.#beginning, this.#link);
    }
  }

  #counted(message: unknown): Buffer {
    const bytes = this.#dialect.bytes(message);
    this.bytes += bytes.length;
    return bytes;
  }

  #identify(): BackendLink | undefined {
    const text = this.#beginning.toString('latin1', this.#dialect.header);
    const [whole, number] = /^\^(\d+) /.exec(text) ?? [];
    const link = whole ? this.#find(Number(number)) : undefined;
    if (whole && !link) this.problems.push(`read of link ${number} of the server, which does not exist`);
    if (!whole && !/^\^\d*$/.test(text)) {
      this.problems.push(`read ${excerpt(this.#beginning)} where a link's first message (${HELLO}) should be`);
    }
    return link;
  }

  #moveTo({ number }: BackendLink): void {
    if (number < this.position) this.problems.push(`read link ${number} of the server after link ${this.position}`);
    this.position = number;
  }

  #read(bytes: Buffer, link: BackendLink): void {
    const cursor = this.#cursors.get(link) ?? { read: 0, words: Buffer.alloc(0), at: 0, next: 0 };
    this.#cursors.set(link, cursor);
    for (let start = 0; start < bytes.length; ) {
      if (cursor.at === cursor.words.length) {
        cursor.words = link.words(cursor.next++);
        cursor.at = 0;
      }
      const expected = cursor.words.subarray(cursor.at, cursor.at + bytes.length - start);
      const part = bytes.subarray(start, start + expected.length);
      if (!part.equals(expected)) {
        const where = `after ${cursor.read} bytes of link ${link.number} of the server`;
        this.problems.push(`read ${excerpt(part)} where ${excerpt(expected)} should be, ${where}`);
      }
      start += part.length;
      cursor.at += part.length;
      cursor.read += part.length;
    }
  }
}
