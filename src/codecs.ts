import { isAscii } from 'node:buffer';
import { inspect } from 'node:util';
import { isUint8Array } from 'node:util/types';
import { atLeast, oneOf, outOfRange, shape, wrongType } from './check.js';
import { type Codec, codecError } from './codec.js';
import { because, type ReconError } from './errors.js';

/** How long a message may be. */
export interface MaxLength {
  /**
   * Bytes of one message read, without its terminator or header. A peer that goes past it loses the link. `Infinity` is no
   * limit.
   * @default 1_048_576
   */
  maxLength?: number | undefined;
}

const DEFAULT_MAX_LENGTH = 1024 * 1024;
const LF = 0x0a;
const CR = 0x0d;

const tooLong = (maxLength: number): ReconError =>
  codecError(`the peer sent a message of more than ${maxLength} bytes (maxLength)`);

/** The good messages of a chunk, then the error that follows them. */
function* failing<In>(messages: Iterable<In>, error: unknown): Generator<In> {
  yield* messages;
  throw error;
}

/** The beginning of a message whose end has not arrived. */
class Rest {
  #bytes = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get endsInCR(): boolean {
    return this.#length > 0 && this.#bytes[this.#length - 1] === CR;
  }

  /** Copies, so that a few bytes don't hold on to a whole chunk; doubles, so that single bytes don't copy it all. */
  append(bytes: Uint8Array): this {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2, 64));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
    return this;
  }

  /** All of it, followed by `bytes`; nothing is left. */
  join(bytes: Buffer): Buffer {
    if (this.#length === 0) return bytes;
    const joined = this.append(bytes).#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    return joined;
  }
}

/**
 * Lines of UTF-8, without their `\n` or `\r\n`; writing adds `\n`. Invalid bytes are read as U+FFFD.
 *
 * A line to be written with a `\n` in it, or a `\r` at its end, would be read as something else: it is refused with
 * `ERR_RECON_CODEC`.
 *
 * @example
 * const conn = await connect(6667, { codec: lines() });
 * for await (const line of conn) console.log(line);
 */
export function lines(options: MaxLength = {}): Codec<string, string> {
  const { maxLength = DEFAULT_MAX_LENGTH } = checkedOptions(options);

  return {
    decoder() {
      const rest = new Rest();

      /** Keeps what follows the last line break; true if it is too long to become a line. */
      const keep = (tail: Buffer): boolean => {
        rest.append(tail);
        return rest.length - Number(rest.endsInCR) > maxLength;
      };

      /** The lines of a text that follows what was kept; only the first is copied for that. */
      const complete = (text: Buffer): Iterable<string> => {
        if (rest.length + text.length > maxLength) return splitBounded(rest.join(text), maxLength);
        const first = rest.length === 0 ? -1 : text.indexOf(LF);
        if (first === -1) return split(rest.join(text));
        return [...split(rest.join(text.subarray(0, first))), ...split(text.subarray(first + 1))];
      };

      const decode = (chunk: Buffer): Iterable<string> => {
        const end = chunk.lastIndexOf(LF);
        if (end === -1) {
          if (keep(chunk)) throw tooLong(maxLength);
          return [];
        }
        const messages = complete(chunk.subarray(0, end));
        return keep(chunk.subarray(end + 1)) ? failing(messages, tooLong(maxLength)) : messages;
      };
      return Object.assign(decode, { pending: () => rest.length });
    },

    encode(message) {
      if (typeof message !== 'string') throw wrongType('a line', 'a string', message);
      if (message.includes('\n') || message.endsWith('\r')) {
        throw codecError('a line cannot have a line break in it, nor a \\r at its end: the peer would read another one, and lines() adds its own');
      }
      return `${message}\n`;
    },
  };
}

const withoutCR = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);

function split(text: Buffer): string[] {
  // Most lines are ASCII, for which there is a shortcut.
  const messages = text.toString(isAscii(text) ? 'latin1' : 'utf8').split('\n');
  return text.includes(CR) ? messages.map(withoutCR) : messages;
}

function splitBounded(text: Buffer, maxLength: number): Iterable<string> {
  // Of ASCII the length of a string is that of its bytes, and to split is the faster way.
  const messages = isAscii(text) ? split(text) : undefined;
  return messages?.every(({ length }) => length <= maxLength) ? messages : splitOneByOne(text, maxLength);
}

function* splitOneByOne(text: Buffer, maxLength: number): Generator<string> {
  for (let start = 0; start <= text.length; ) {
    const found = text.indexOf(LF, start);
    const end = found === -1 ? text.length : found;
    const trimmed = text[end - 1] === CR ? end - 1 : end;
    if (trimmed - start > maxLength) throw tooLong(maxLength);
    yield text.toString('utf8', start, trimmed);
    start = end + 1;
  }
}

/**
 * Text as it comes, in pieces of no particular size; a character's bytes are never torn between two pieces, and
 * invalid bytes are read as U+FFFD. Written as it is.
 *
 * @example connect(4321, { codec: text() })
 */
export function text(): Codec<string, string> {
  return {
    decoder() {
      const rest = new Rest();
      const decode = (chunk: Buffer): string[] => {
        const all = rest.join(chunk);
        const end = all.length - unfinished(all);
        rest.append(all.subarray(end));
        return end === 0 ? [] : [all.toString('utf8', 0, end)];
      };
      return Object.assign(decode, { pending: () => rest.length });
    },
    encode(message) {
      if (typeof message !== 'string') throw wrongType('text', 'a string', message);
      return message;
    },
  };
}

/** How many bytes at the end begin a UTF-8 character (RFC 3629, table of section 4) whose last bytes are missing. */
function unfinished(text: Buffer): number {
  for (let back = 1; back <= Math.min(3, text.length); back++) {
    const start = text.length - back;
    const lead = text[start]!;
    if (lead < 0x80) return 0;
    if (lead < 0xc0) continue;
    const size = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return back < size && (back === 1 || mayFollow(lead, text[start + 1]!)) ? back : 0;
  }
  return 0;
}

/** Some first bytes don't take every second one: it would be an overlong form, a surrogate, or beyond U+10FFFF. */
function mayFollow(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second < 0xa0;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second < 0x90;
  return true;
}

/**
 * JSON values, one a line ({@link lines}). A value that is no JSON (`undefined`, a function, a BigInt, a circle, NaN)
 * is refused with `ERR_RECON_CODEC`. A line that is no JSON, a blank one too, drops the link with it.
 *
 * @example connect(4321, { codec: jsonLines<{ level: string; message: string }>() })
 */
export function jsonLines<T = unknown>(options: MaxLength = {}): Codec<T, T> {
  const line = lines(options);
  return {
    decoder() {
      const readLines = line.decoder();
      const decode = function* (chunk: Buffer): Generator<T> {
        for (const json of readLines(chunk)) yield parse<T>(json);
      };
      return Object.assign(decode, { pending: () => readLines.pending!() });
    },
    encode: (message) => line.encode(stringify(message)),
  };
}

function parse<T>(json: string): T {
  try {
    return JSON.parse(json) as T;
  } catch (error) {
    throw codecError(`the peer sent a line that is no JSON: ${json.slice(0, 80)}`, error);
  }
}

function stringify(value: unknown): string {
  let json: string | undefined;
  try {
    json = typeof value === 'number' && !Number.isFinite(value) ? undefined : JSON.stringify(value);
  } catch (error) {
    throw codecError(`a message is no JSON${because(error)}`, error);
  }
  if (json === undefined) throw codecError(`a message is no JSON: ${inspect(value, { depth: 0 })}`);
  return json;
}

/** How the length before a message is written. */
export interface LengthPrefix extends MaxLength {
  /**
   * Bytes of the length: 1, 2 or 4.
   * @default 4
   */
  bytes?: 1 | 2 | 4 | undefined;
  /**
   * Which byte of the length comes first.
   * @default 'big'
   */
  endian?: 'big' | 'little' | undefined;
}

/**
 * Messages behind an unsigned length, which doesn't count itself. A message too long for it is refused with
 * `ERR_RECON_CODEC`. What is read are parts of larger `Buffer`s: copy what is to be kept for long.
 *
 * @example connect(4321, { codec: lengthPrefixed({ bytes: 2 }) })
 */
export function lengthPrefixed(options: LengthPrefix = {}): Codec<Buffer, string | Uint8Array> {
  const { maxLength = DEFAULT_MAX_LENGTH, bytes: header = 4, endian = 'big' } = checkedOptions(options, {
    bytes: (value: unknown, name: string) => {
      if (value !== 1 && value !== 2 && value !== 4) throw outOfRange(name, '1, 2 or 4', value);
    },
    endian: oneOf('big', 'little'),
  });
  const longest = 2 ** (8 * header) - 1;

  return {
    decoder() {
      const rest = new Rest();
      /** Bytes that the next step wants: a header, or a message and its header. Until they are here, nothing is joined. */
      let wanted = header;
      const decode = (chunk: Buffer): Iterable<Buffer> => {
        if (rest.length + chunk.length < wanted) {
          rest.append(chunk);
          return [];
        }
        const all = rest.join(chunk);
        const messages: Buffer[] = [];
        let start = 0;
        for (;;) {
          wanted = header;
          if (all.length - start < wanted) break;
          const length = endian === 'big' ? all.readUIntBE(start, header) : all.readUIntLE(start, header);
          if (length > maxLength) return failing(messages, tooLong(maxLength));
          wanted += length;
          if (all.length - start < wanted) break;
          messages.push(all.subarray(start + header, start + wanted));
          start += wanted;
        }
        rest.append(all.subarray(start));
        return messages;
      };
      return Object.assign(decode, { pending: () => rest.length });
    },

    encode(message) {
      if (typeof message !== 'string' && !isUint8Array(message)) {
        throw wrongType('a message', 'a string or a Uint8Array', message);
      }
      const body = typeof message === 'string' ? Buffer.from(message) : message;
      if (body.length > longest) {
        throw codecError(`a message of ${body.length} bytes is too long for a length of ${header} bytes`);
      }
      const frame = Buffer.allocUnsafe(header + body.length);
      if (endian === 'big') frame.writeUIntBE(body.length, 0, header);
      else frame.writeUIntLE(body.length, 0, header);
      frame.set(body, header);
      return frame;
    },
  };
}

/** A codec's options, refused like those of `connect()` when they are wrong. */
function checkedOptions<T extends MaxLength>(options: T, more: Parameters<typeof shape>[2] = {}): T {
  shape(options, '', { maxLength: atLeast(0, 'bytes'), ...more });
  return options;
}
