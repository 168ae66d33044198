import { inspect } from 'node:util';
import { isNativeError } from 'node:util/types';

/**
 * What went wrong, for a program to tell apart:
 *
 * | code | meaning |
 * | --- | --- |
 * | `ERR_RECON_CLOSED` | the connection has ended or is ending (by `end()`, `destroy()`, an abort, or because it gave up: `cause`), and takes no more: connect anew |
 * | `ERR_RECON_DROPPED` | a link was lost: the peer said goodbye, or what was asked of this one link (`link.read()`, `link.write()`) is void. The connection goes on, unless it gives up |
 * | `ERR_RECON_BUFFER_FULL` | a write beyond `maxBufferedAmount`; nothing of it is sent. Await each write, wait for `drain`, or drop it |
 * | `ERR_RECON_UNFLUSHED` | with `unflushed: 'reject'`: the link was lost before the system confirmed the write, which may have been sent in part. Write it again, or not |
 * | `ERR_RECON_TIMEOUT` | `connectTimeout`, `idleTimeout` or `writeTimeout` passed, and the attempt or the link was given up for it |
 * | `ERR_RECON_READING` | somebody else is reading: leave that loop first |
 * | `ERR_RECON_CODEC` | bytes that can't be read as messages (the link is dropped for it), or a message that can't be written (nothing of it is sent) |
 */
export type ReconErrorCode =
  | 'ERR_RECON_CLOSED'
  | 'ERR_RECON_DROPPED'
  | 'ERR_RECON_BUFFER_FULL'
  | 'ERR_RECON_UNFLUSHED'
  | 'ERR_RECON_TIMEOUT'
  | 'ERR_RECON_READING'
  | 'ERR_RECON_CODEC';

/**
 * Every error that is the library's own. The system's (`ECONNREFUSED`, `ECONNRESET`, …) come through as they are.
 *
 * @example
 * try {
 *   await conn.write(line);
 * } catch (error) {
 *   if (error instanceof ReconError && error.code === 'ERR_RECON_BUFFER_FULL') dropped += 1;
 *   else throw error;
 * }
 */
export class ReconError extends Error {
  override readonly name = 'ReconError';
  /** What went wrong, for a program to tell apart. */
  readonly code: ReconErrorCode;

  /** @param cause - the error behind this one, where there is one */
  constructor(code: ReconErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Why something failed: mostly an `Error` of the system's with a `code`, or a {@link ReconError}. */
export type Reason = Error & { readonly code?: string };

/** An error of another realm: under Jest and in `node:vm`, the system's errors are not of the `Error` that is known there. */
const isForeign = (value: unknown): value is Error =>
  !(value instanceof Error) && (isNativeError(value) || Object.prototype.toString.call(value) === '[object DOMException]');

/** An error, of whatever realm. */
export const isError = (value: unknown): value is Error => value instanceof Error || isForeign(value);

/** What to say of the error behind another one: not everybody looks at `cause`. */
export function because(cause: unknown): string {
  if (cause === undefined) return '';
  return `: ${isError(cause) ? cause.message : inspect(cause)}`;
}

/** The classes that mistakes in a program have. */
export const MISTAKES = [TypeError, RangeError, ReferenceError];

/** Of one of these classes, be it that of another realm. */
export const isMistake = (error: unknown): error is Error =>
  MISTAKES.some((kind) => error instanceof kind || (isForeign(error) && error.name === kind.name));

/**
 * The same error with another message, unless it is frozen. What a terminal shows of an error is its stack, which has the
 * message at its top.
 */
export function withMessage<E extends Error>(error: E, message: string): E {
  const frames = /\n {4}at [^]*$/.exec(error.stack ?? '')?.[0] ?? '';
  const set = (name: 'message' | 'stack', value: string): boolean =>
    Reflect.defineProperty(error, name, { value, writable: true, configurable: true });
  if (set('message', message)) set('stack', `${error.name}: ${message}${frames}`);
  return error;
}
