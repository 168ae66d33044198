import { isUint8Array } from 'node:util/types';
import { callback, wrongType } from './check.js';
import { because, ReconError } from './errors.js';

/**
 * Takes bytes as they arrive and returns the messages that are complete with them. One decoder reads one link, so
 * half a message of a dead link is never glued to the next link's first.
 *
 * All that a chunk yields is taken at once: a decoder must come to an end whatever it is sent.
 *
 * What it throws drops the link with `ERR_RECON_CODEC`; to have the messages before a bad one delivered, yield them first.
 */
export interface Decoder<In> {
  (chunk: Buffer): Iterable<In>;
  /** Bytes of a message begun and not finished; they are lost with the link, and counted in its `drop` event. */
  pending?(): number;
}

/**
 * Turns bytes into messages and back.
 *
 * @example
 * const upperCase: Codec<string, string> = {
 *   decoder: () => (chunk) => [chunk.toString('latin1').toUpperCase()],
 *   encode: (message) => Buffer.from(message, 'latin1'),
 * };
 */
export interface Codec<In, Out> {
  /** Makes a fresh decoder: called for every link. */
  decoder(): Decoder<In>;
  /** The bytes of one message. Throw to refuse it: its `write` rejects with `ERR_RECON_CODEC`, and nothing of it is sent. */
  encode(message: Out): string | Uint8Array;
}

/** @internal The bytes of a message, or the error to refuse it with: whatever a codec throws is told as `ERR_RECON_CODEC`. */
export function encode<Out>(codec: Codec<unknown, Out>, message: Out): string | Uint8Array {
  let data: unknown;
  try {
    data = codec.encode(message);
  } catch (error) {
    if (error instanceof TypeError) throw error;
    throw error instanceof ReconError ? error : codecError(`the codec refused the message${because(error)}`, error);
  }
  if (typeof data === 'string' || isUint8Array(data)) return data;
  if (codec !== (bytes as unknown)) throw wrongType('what the codec makes of a message', 'a string or a Uint8Array', data);
  throw wrongType('data', 'a string or a Uint8Array (a codec, such as jsonLines(), takes other values)', data);
}

/** @internal A fresh decoder. */
export function decoderOf<In>(codec: Codec<In, never>): Decoder<In> {
  const decoder = codec.decoder();
  callback(decoder, 'what codec.decoder() returns');
  return decoder;
}

/**
 * @internal Reads a chunk to its end: the messages, and the error that came after them, if one did. It is a `TypeError` for what
 * can't be a peer's fault.
 */
export function decode<In>(decoder: Decoder<In>, chunk: Buffer): { messages: In[]; error?: ReconError | TypeError } {
  const messages: In[] = [];
  try {
    const complete = decoder(chunk);
    // A decoder may use its array again.
    if (Array.isArray(complete)) return { messages: complete.slice() };
    if (typeof (complete as Partial<Iterable<In>> | undefined)?.[Symbol.iterator] !== 'function') {
      return { messages, error: wrongType('what a decoder returns', 'an iterable of messages, such as an array', complete) };
    }
    for (const message of complete) messages.push(message);
  } catch (error) {
    if (error instanceof ReconError) return { messages, error };
    return { messages, error: codecError(`the codec could not read what the peer sent${because(error)}`, error) };
  }
  return { messages };
}

/** @internal What can't be read as a message, or written as one. */
export const codecError = (message: string, cause?: unknown): ReconError => new ReconError('ERR_RECON_CODEC', message, cause);

const alone = (chunk: Buffer): Buffer[] => [chunk];

/** @internal The messages are the bytes, as they come: what a connection speaks unless told otherwise. */
export const bytes: Codec<Buffer, string | Uint8Array> = {
  decoder: () => alone,
  encode: (message) => message,
};
