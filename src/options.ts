import type { Options as PRetryOptions } from 'p-retry';
import type { Endpoint } from './address.js';
import type { Codec } from './codec.js';
import type { Dial } from './dial.js';
import type { Heartbeat, Link } from './link.js';

/** Called for every link before it counts as up; the signal aborts when its time is up or the link is lost. See {@link ConnectOptions.onLink}. */
export type OnLink<In = Buffer, Out = string | Uint8Array> = (link: Link<In, Out>, context: { readonly signal: AbortSignal }) => unknown;

/** As ours: an option that is undefined is one that is absent. */
type OrUndefined<T> = { readonly [K in keyof T]?: T[K] | undefined };

/**
 * p-retry's own options, but for `signal` and `unref`, which belong to the connection as a whole; with defaults that suit a
 * connection.
 */
export interface RetryOptions extends OrUndefined<Omit<PRetryOptions, 'signal' | 'unref'>> {
  /**
   * How many times to try again before the connection gives up. A link that lasted gives all of them back.
   * @default Infinity
   */
  readonly retries?: number | undefined;
  /**
   * Milliseconds to wait after the first failed attempt, before `randomize` shortens them.
   * @default 100
   */
  readonly minTimeout?: number | undefined;
  /**
   * Milliseconds that no wait is longer than.
   * @default 30_000 // or minTimeout, if that is more
   */
  readonly maxTimeout?: number | undefined;
  /**
   * How many times as long each wait is as the one before.
   * @default 2
   */
  readonly factor?: number | undefined;
  /**
   * Shortens all waits of an outage by one factor between ½ and 1, so that clients of one server spread.
   * @default true
   */
  readonly randomize?: boolean | undefined;
  /**
   * Milliseconds without a link after which the connection gives up, at the end of the attempt that is under way.
   * @default Infinity
   */
  readonly maxRetryTime?: number | undefined;
}

/** Everything `connect()` can be told. */
export interface ConnectOptions<In = Buffer, Out = string | Uint8Array> extends Endpoint {
  /**
   * Several places: each attempt takes the next one, so that a dead server is left behind. Entries are what
   * `connect()` takes as an address, or objects; what an entry omits (`port`, `host`, `tls`) is taken from the options.
   * @example { endpoints: ['a.example.com', 'b.example.com:4223', { host: '10.0.0.1' }], port: 4222, tls: true }
   */
  endpoints?: readonly (Endpoint | string | number | URL)[] | undefined;
  /**
   * Any other transport. May look its address up afresh at every attempt; should heed the signal, but
   * `connectTimeout` and the connection's end are obeyed either way: a stream it brings too late is destroyed.
   * Goes before `endpoints`, and these before `path` and `port`.
   * @example { dial: async ({ signal }) => net.connect({ ...(await discover('logs')), signal }) }
   */
  dial?: Dial | undefined;
  /**
   * Disables Nagle's algorithm, as `net.Socket.setNoDelay()`. TCP and TLS only, as the next two.
   * @default true
   */
  noDelay?: boolean | undefined;
  /**
   * Sends TCP keepalive probes, as `net.Socket.setKeepAlive()`.
   * @default true
   */
  keepAlive?: boolean | undefined;
  /**
   * Milliseconds of silence before the first keepalive probe. 0 or `Infinity` leaves it to the system (often two hours).
   * @default 10_000
   */
  keepAliveInitialDelay?: number | undefined;

  /**
   * Called for every link, the first too, and awaited before queued writes flow and before `connect()` resolves:
   * authenticate, subscribe, `link.socket.setNoDelay()`. If it throws, the attempt has failed and is retried, except
   * after an `AbortError` or a programming error (`TypeError`, `RangeError`, `ReferenceError`). The signal aborts
   * when `connectTimeout` is over or the link is lost. What it doesn't read goes to the reader. It talks through `link`: a
   * `conn.write()` waits until `onLink` is done, and must not be awaited in it.
   *
   * @example
   * onLink: async (link) => {
   *   await link.write(`AUTH ${token}`);
   *   if ((await link.read()) !== '+OK') throw new AbortError('wrong token');
   * }
   */
  onLink?: OnLink<In, Out> | undefined;
  /**
   * Turns bytes into messages and back.
   * @default chunks are `Buffer`s as they arrive; strings and `Uint8Array`s are written as they are
   * @example connect(4321, { codec: lines() })
   */
  codec?: Codec<In, Out> | undefined;

  /**
   * p-retry's own options: how often and how long to retry, and how long to wait between attempts.
   *
   * Two meanings are the connection's own. No wait is longer than `maxTimeout`: `randomize` shortens all waits of an
   * outage by one factor between ½ and 1, so that clients of one server spread out even when they wait at the cap. And a
   * link that lasted `minUptime` ends the outage: the next one has all its retries again, its first attempt is immediate.
   *
   * Giving up ends the connection with the last error itself, so that `error.code === 'ECONNREFUSED'` works; with an
   * `AbortError`, that is its `originalError`.
   *
   * @example { retry: { retries: 5, onFailedAttempt: ({ error }) => console.error(error.message) } }
   * @default { retries: Infinity, minTimeout: 100, maxTimeout: 30_000, factor: 2, randomize: true }
   */
  retry?: RetryOptions | undefined;
  /**
   * Milliseconds a link must last to count as a success. One that is lost sooner is one more failed attempt, so that
   * a server that accepts and hangs up is not dialled in a tight loop.
   * @default 5_000
   */
  minUptime?: number | undefined;
  /**
   * Milliseconds for one attempt: dial, TLS and `onLink` together. Past it the attempt fails with `ERR_RECON_TIMEOUT`.
   * 0 is no limit.
   * @default 10_000
   */
  connectTimeout?: number | undefined;
  /**
   * Milliseconds that `end()` waits for the peer's FIN after ours, and that `closed` waits for the last socket to be closed
   * (5 s at most). 0 doesn't wait.
   * @default 5_000
   */
  closeTimeout?: number | undefined;
  /**
   * For the connection's whole life: aborting is `destroy(signal.reason)`, in every state. So `AbortSignal.timeout()` ends
   * a connection that is up, too; how long to wait without a link is for `retry.maxRetryTime` to say.
   * @example { signal: controller.signal }
   */
  signal?: AbortSignal | undefined;

  /**
   * Bytes received and not read at which the socket is paused, so that a slow reader slows the peer. `Infinity` is no limit.
   * @default 1_048_576
   */
  highWaterMark?: number | undefined;
  /**
   * For those who only write: what comes in, once `onLink` is done, is counted and dropped, so that a peer's goodbye
   * is always noticed.
   * @default false
   */
  discard?: boolean | undefined;
  /**
   * Bytes written and not flushed beyond which a write is refused with `ERR_RECON_BUFFER_FULL`, and nothing of it is
   * sent. `drain` tells when all is flushed. `Infinity` is no limit.
   * @default 16_777_216
   */
  maxBufferedAmount?: number | undefined;
  /**
   * What becomes of a write that was handed to a link and not confirmed when the link was lost, and so may have been
   * sent in part: `'resend'` sends it again, whole and first, on the next link; `'reject'` rejects its promise with
   * `ERR_RECON_UNFLUSHED` and lets the caller decide.
   * @default 'resend'
   */
  unflushed?: 'resend' | 'reject' | undefined;

  /**
   * Milliseconds without a byte received after which the link is dropped with `ERR_RECON_TIMEOUT` (not while it is
   * paused because of a slow reader). 0 is off.
   * @default 0
   */
  idleTimeout?: number | undefined;
  /**
   * Milliseconds during which the system takes nothing of what waits to be written, after which the link is dropped
   * with `ERR_RECON_TIMEOUT`. 0 is off.
   * @default 0
   */
  writeTimeout?: number | undefined;
  /**
   * A message sent on an interval while a link is up. Off unless given.
   * @example { heartbeat: { interval: 15_000, message: 'PING' }, idleTimeout: 30_000 }
   */
  heartbeat?: Heartbeat<NoInfer<Out>> | undefined;
}

/** What `connect()` takes as one of its arguments, told apart by type. */
export type ConnectArgument<In, Out> =
  | number
  | string
  | URL
  | OnLink<In, Out>
  | (ConnectOptions<In, Out> & NoPartOfURL)
  | undefined;

/** Where options and a `URL` may stand, the compiler would take a part of the one (`hostname`) for one of the others. */
type NoPartOfURL = { readonly [part in Exclude<keyof URL, keyof ConnectOptions | keyof Object>]?: never };

/** What `write()` can be told besides the message. */
export interface WriteOptions {
  /** Aborting takes the write back, as long as it has not begun: its promise rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}
