import { lines } from 'recon';
import { bytes, type Codec } from '../../src/codec.js';
import type { ModelOptions } from './connection.js';

/** How a link takes what it is handed: when the test says so; at once; or at once as it seems, and later in truth. */
export type Manner = 'when told' | 'at once' | 'hopefully';

/** Told of what goes out on a link that is up, in the moment when it does. */
export interface Wiretap {
  handed(bytes: string, atOnce: boolean): void;
  taken(length: number): void;
}

/** Any of the library's iterators. */
export type Results = AsyncIterableIterator<unknown, undefined>;

/** A link as a loop over the links has it. */
export interface Iterated extends AsyncIterable<unknown> {
  readonly number: number;
}

/** A real thing to drive the model beside, and the network under it, which is the test's. */
export interface World {
  write(message: string | Uint8Array, signal?: AbortSignal): Promise<void>;
  /** A promise, if it is a whole connection's, which can be given a message. */
  end(message?: string): Promise<void> | undefined;
  destroy(error?: Error): void;
  messages(): Results;
  batches(): Results;
  links(): Results;
  /** What is to be seen from outside, by the names that the model has for it. */
  observe(): Record<string, unknown>;

  /** What was dialled is there. */
  dialled(manner: Manner): void;
  /** The link takes bytes of what it was handed. */
  take(length: number): void;
  /** The link that was lost last takes bytes, too late. */
  takeLate(): void;
  arrive(bytes: string): void;
  sayGoodbye(): void;
  fail(error: Error): void;
}

/** Bytes as the model has them. */
export const latin1 = (data: unknown): string => Buffer.from(data as string).toString('latin1');

export const codecOf = ({ inLines }: ModelOptions): Codec<any, any> => (inLines ? lines() : bytes);
