import { type Codec, jsonLines, lengthPrefixed, lines, text } from 'recon';
import { Generator } from '../generator.js';

/** A way to put content, a string without line breaks, into messages, and messages onto the wire. */
export interface Dialect {
  readonly name: string;
  readonly codec: Codec<any, any> | undefined;
  /** The most bytes that content can have. */
  readonly longest: number;
  /** Bytes on the wire before the content of a message. */
  readonly header: number;
  /** What is written for this content. */
  message(content: string): unknown;
  /** The bytes that a message stands for, which was written or read. */
  bytes(message: any): Buffer;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz é€漢';
/** Messages are filled with pieces of this: what is torn, glued or misplaced is not the piece that should be there. */
const FILLER = fill(new Generator(1), 80_000);
const CARET = 0x5e;

function fill(random: Generator, length: number): string {
  return Array.from({ length }, () => random.oneOf(LETTERS)).join('');
}

/** Characters of the longest content. Characters of the filler have three bytes at most. */
const LONG = 25_000;

/**
 * Content that is known by what it begins with, of a length drawn at random: mostly short, now and then longer than what
 * is sent together, or than a chunk. Its last character has four bytes.
 *
 * @param longest - bytes
 * @param most - characters, if it need not be short
 */
export function contentOf(beginning: string, random: Generator, longest: number, most?: number): string {
  const limit = most ?? (random.chance(0.95) ? 120 : random.chance(0.8) ? 6_000 : LONG);
  const length = Math.min(random.between(0, limit), Math.floor((longest - 30) / 3));
  const start = random.between(0, FILLER.length - length);
  return `${beginning} ${FILLER.slice(start, start + length)}😀`;
}

/** So many messages in a row can be a flood: more than the system takes at once. */
const FLOOD = 64;

/** The n-th of many contents. */
export function contentNumber(n: number, random: Generator, longest: number): string {
  const floods = random.fork('flood', Math.floor(n / FLOOD)).chance(0.03);
  return contentOf(String(n), random.fork(n), longest, floods ? 2 * LONG : undefined);
}

/** A server's first message on each link begins with this, and no other does. */
export const HELLO = '^';

export const isHello = (dialect: Dialect, bytes: Buffer): boolean => bytes[dialect.header] === CARET;

const UNBOUNDED = 1024 * 1024;

function prefixed(options: { readonly bytes: 1 | 2 | 4; readonly endian: 'big' | 'little' }): Dialect {
  const { bytes, endian } = options;
  return {
    name: `lengthPrefixed ${bytes} ${endian}`,
    codec: lengthPrefixed(options),
    longest: Math.min(2 ** (8 * bytes) - 1, UNBOUNDED),
    header: bytes,
    message: (content) => Buffer.from(content),
    bytes(message: Buffer) {
      const header = Buffer.alloc(bytes);
      if (endian === 'big') header.writeUIntBE(message.length, 0, bytes);
      else header.writeUIntLE(message.length, 0, bytes);
      return Buffer.concat([header, message]);
    },
  };
}

export const DIALECTS: readonly Dialect[] = [
  {
    name: 'raw',
    codec: undefined,
    longest: UNBOUNDED,
    header: 0,
    message: (content) => (content.length % 2 === 0 ? `${content}\n` : Buffer.from(`${content}\n`)),
    bytes: (message: string | Buffer) => Buffer.from(message as string),
  },
  {
    name: 'text',
    codec: text(),
    longest: UNBOUNDED,
    header: 0,
    message: (content) => `${content}\n`,
    bytes: (message: string) => Buffer.from(message),
  },
  {
    name: 'lines',
    codec: lines(),
    longest: UNBOUNDED,
    header: 0,
    message: (content) => content,
    bytes: (message: string) => Buffer.from(`${message}\n`),
  },
  {
    name: 'jsonLines',
    codec: jsonLines<{ text: string }>(),
    longest: UNBOUNDED,
    header: '{"text":"'.length,
    message: (content) => ({ text: content }),
    bytes: (message: { text: string }) => Buffer.from(`${JSON.stringify(message)}\n`),
  },
  prefixed({ bytes: 1, endian: 'big' }),
  prefixed({ bytes: 2, endian: 'big' }),
  prefixed({ bytes: 2, endian: 'little' }),
  prefixed({ bytes: 4, endian: 'big' }),
  prefixed({ bytes: 4, endian: 'little' }),
];
