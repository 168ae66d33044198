/**
 * What went wrong, for a program to tell apart:
 *
 * | code | meaning |
 * | --- | --- |
 * | `ERR_RECON_CLOSED` | the connection has ended (or is ending): nothing more can be written |
 * | `ERR_RECON_DROPPED` | a link was lost: the peer said goodbye, or what was asked of this one link is void |
 * | `ERR_RECON_BUFFER_FULL` | the write would have gone past `maxBufferedAmount`; nothing of it is sent |
 * | `ERR_RECON_UNFLUSHED` | with `unflushed: 'reject'`: the link was lost before the system confirmed the write |
 * | `ERR_RECON_TIMEOUT` | a deadline passed, and the link or the attempt was given up for it |
 * | `ERR_RECON_READING` | somebody else is reading this connection |
 * | `ERR_RECON_CODEC` | bytes that cannot be read as messages, or a message that cannot be written as bytes |
 */
export type ReconErrorCode =
  | 'ERR_RECON_CLOSED'
  | 'ERR_RECON_DROPPED'
  | 'ERR_RECON_BUFFER_FULL'
  | 'ERR_RECON_UNFLUSHED'
  | 'ERR_RECON_TIMEOUT'
  | 'ERR_RECON_READING'
  | 'ERR_RECON_CODEC';

/** Why something failed: mostly an `Error` of the system's with a `code`, or a {@link ReconError}. */
export type Reason = Error & { readonly code?: string };

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
  readonly code: ReconErrorCode;

  /** @param cause - the error behind this one, where there is one */
  constructor(code: ReconErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
