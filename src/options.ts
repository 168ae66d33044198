import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import type { Options as PRetryOptions } from 'p-retry';
import { type Endpoint, isHost, parseAddress } from './address.js';
import * as check from './check.js';
import { bytes, type Codec, encode } from './codecs.js';
import { checkTls } from './dial.js';
import type { Link } from './link.js';

/** What a custom `dial` is told. */
export interface DialContext {
  /** 1 for the first attempt of an outage, and so on: p-retry's `attemptNumber`. */
  readonly attempt: number;
  /** Aborts when the attempt's time is up or nobody wants it any more. */
  readonly signal: AbortSignal;
}

/** Brings one transport: ready, or a `net.Socket` that is still connecting. */
export type Dial = (context: DialContext) => Duplex | Promise<Duplex>;

/** Called for every link before it counts as up. See {@link ConnectOptions.onLink}. */
export type OnLink<In, Out> = (link: Link<In, Out>, context: { readonly signal: AbortSignal }) => unknown;

/** p-retry's own options, but for `signal` and `unref`, which belong to the connection as a whole. */
export type RetryOptions = Omit<PRetryOptions, 'signal' | 'unref'>;

/** A message sent on an interval, to show that we are there and to find out whether the peer is. */
export interface Heartbeat<Out> {
  /** Milliseconds between two messages. */
  readonly interval: number;
  /** What to send, encoded like any other message. */
  readonly message: Out;
}

/** Everything `connect()` can be told. */
export interface ConnectOptions<In = Buffer, Out = string | Uint8Array> extends Endpoint {
  /**
   * Several places: each attempt takes the next one, so that a dead server is left behind. Entries are what
   * `connect()` takes as an address, or objects; what an entry doesn't say (`port`, `host`, `tls`), the options say.
   */
  endpoints?: readonly (Endpoint | string | number | URL)[];
  /**
   * Any other transport. May look its address up afresh at every attempt; should heed the signal, but
   * `connectTimeout` and the connection's end are obeyed either way: a stream it brings too late is destroyed.
   */
  dial?: Dial;
  /**
   * Disables Nagle's algorithm, as `net.Socket.setNoDelay()`. TCP and TLS only.
   * @default true
   */
  noDelay?: boolean;
  /**
   * Sends TCP keepalive probes, as `net.Socket.setKeepAlive()`.
   * @default true
   */
  keepAlive?: boolean;
  /**
   * Milliseconds of silence before the first keepalive probe.
   * @default 10_000
   */
  keepAliveInitialDelay?: number;

  /**
   * Called for every link, the first too, and awaited before queued writes flow and before `connect()` resolves:
   * authenticate, subscribe, `link.socket.setNoDelay()`. If it throws, the attempt has failed and is retried, except
   * after an `AbortError` or a programming error (`TypeError`, `RangeError`, `ReferenceError`). The signal aborts
   * when `connectTimeout` is over or the link is lost. What it doesn't read goes to the reader.
   *
   * @example
   * onLink: async (link) => {
   *   await link.write(`AUTH ${token}`);
   *   if ((await link.read()) !== '+OK') throw new AbortError('wrong token');
   * }
   */
  onLink?: OnLink<In, Out>;
  /**
   * Turns bytes into messages and back. Without one, chunks are `Buffer`s as they arrive.
   * @example connect(4321, { codec: lines() })
   */
  codec?: Codec<In, Out>;

  /**
   * p-retry's own options: how often and how long to retry, and how long to wait between attempts.
   *
   * Two meanings are the connection's own. No wait is longer than `maxTimeout`: `randomize` shortens all waits of an
   * outage by one factor between ½ and 1, so that clients of one server spread also when they wait at the cap. And a
   * link that lasted `minUptime` ends the outage: the next one has all its retries again, its first attempt is immediate.
   *
   * @default { retries: Infinity, minTimeout: 100, maxTimeout: 30_000, factor: 2, randomize: true }
   */
  retry?: RetryOptions;
  /**
   * Milliseconds a link must last to count as a success. One that is lost sooner is one more failed attempt, so that
   * a server that accepts and hangs up is not dialled in a tight loop.
   * @default 5_000
   */
  minUptime?: number;
  /**
   * Milliseconds for one attempt: dial, TLS and `onLink` together. Past it the attempt fails with `ERR_RECON_TIMEOUT`.
   * 0 is no limit.
   * @default 10_000
   */
  connectTimeout?: number;
  /**
   * Milliseconds that `end()` waits, once it has said goodbye, for the peer to say it too.
   * @default 5_000
   */
  closeTimeout?: number;
  /** For the connection's whole life: aborting is `destroy(signal.reason)`. */
  signal?: AbortSignal;

  /**
   * Bytes received and not read above which the socket is paused, so that a slow reader slows the peer.
   * @default 1_048_576
   */
  highWaterMark?: number;
  /**
   * For those who only write: what comes in, once `onLink` is done, is counted and dropped, so that a peer's goodbye
   * is always noticed.
   * @default false
   */
  discard?: boolean;
  /**
   * Bytes written and not flushed beyond which a write is refused with `ERR_RECON_BUFFER_FULL`.
   * @default 16_777_216
   */
  maxBufferedAmount?: number;
  /**
   * What becomes of a write that was handed to a link and not confirmed when the link was lost, and so may have been
   * sent in part: `'resend'` sends it again, whole and first, on the next link; `'reject'` rejects its promise with
   * `ERR_RECON_UNFLUSHED` and lets the caller decide.
   * @default 'resend'
   */
  unflushed?: 'resend' | 'reject';

  /**
   * Milliseconds without a byte received after which the link is dropped with `ERR_RECON_TIMEOUT` (not while it is
   * paused because of a slow reader). 0 is off.
   * @default 0
   */
  idleTimeout?: number;
  /**
   * Milliseconds during which the system takes nothing of what waits to be written, after which the link is dropped
   * with `ERR_RECON_TIMEOUT`. 0 is off.
   * @default 0
   */
  writeTimeout?: number;
  /**
   * A message sent on an interval while a link is up. Off unless given.
   * @example { heartbeat: { interval: 15_000, message: 'PING' }, idleTimeout: 30_000 }
   */
  heartbeat?: Heartbeat<Out>;
}

/** What `connect()` takes as one of its arguments, told apart by type. */
export type ConnectArgument<In, Out> =
  | number
  | string
  | URL
  | OnLink<In, Out>
  | ConnectOptions<In, Out>
  | undefined;

/** The options with every default filled in and every value checked. */
export interface Settings<In, Out> {
  readonly endpoints: readonly Endpoint[];
  readonly dial: Dial | undefined;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
  readonly onLink: OnLink<In, Out> | undefined;
  readonly codec: Codec<In, Out>;
  readonly retry: RetryOptions & Required<Pick<RetryOptions, 'retries' | 'minTimeout' | 'maxTimeout' | 'factor'>>;
  readonly minUptime: number;
  readonly connectTimeout: number;
  readonly closeTimeout: number;
  readonly signal: AbortSignal | undefined;
  readonly highWaterMark: number;
  readonly discard: boolean;
  readonly maxBufferedAmount: number;
  readonly unflushed: 'resend' | 'reject';
  readonly idleTimeout: number;
  readonly writeTimeout: number;
  readonly heartbeat: Heartbeat<Out> | undefined;
}

/** The longest a Node timer can be: past it, it fires at once. */
const MAX_TIMER = 2 ** 31 - 1;
/** A number of milliseconds as a timer can bear it; 0 where "no limit" is meant. */
const timer = (value: number): number => (value === Infinity ? 0 : Math.min(value, MAX_TIMER));
const pause = (value: number): number => Math.min(value, MAX_TIMER);

const tls: check.Check = (value, name) => {
  if (typeof value !== 'boolean' && !check.isObject(value)) {
    throw check.wrongType(name, 'a boolean or options of tls.connect', value);
  }
  if (check.isObject(value)) checkTls(value, name);
};

const ENDPOINT: Readonly<Record<keyof Endpoint, check.Check>> = {
  port: check.port,
  host: (value, name) => {
    check.text(value, name);
    if (!isHost(value as string)) throw check.wrongType(name, 'a host name or an IP address', value);
  },
  path: check.text,
  tls,
};

const RETRY: Readonly<Record<keyof RetryOptions, check.Check>> = {
  retries: check.atLeast(0, 'retries'),
  factor: (value, name) => {
    check.atLeast(0, 'times')(value, name);
    if (value === Infinity) throw check.outOfRange(name, 'a finite number', value);
  },
  minTimeout: check.milliseconds,
  maxTimeout: check.milliseconds,
  maxRetryTime: check.milliseconds,
  randomize: check.boolean,
  onFailedAttempt: check.callback,
  shouldRetry: check.callback,
  shouldConsumeRetry: check.callback,
};

/** Every option there is, and what it must be. */
const OPTIONS: Readonly<Record<keyof ConnectOptions, check.Check>> = {
  ...ENDPOINT,
  endpoints: (value, name) => {
    if (!Array.isArray(value) || value.length === 0) throw check.wrongType(name, 'a list with an entry', value);
  },
  dial: check.callback,
  noDelay: check.boolean,
  keepAlive: check.boolean,
  keepAliveInitialDelay: check.milliseconds,
  onLink: check.callback,
  codec: (value, name) => {
    if (!check.isObject(value)) throw check.wrongType(name, 'an object with decoder() and encode()', value);
    check.callback(value['decoder'], `${name}.decoder`);
    check.callback(value['encode'], `${name}.encode`);
  },
  retry: (value, name) => check.shape(value, name, RETRY),
  minUptime: check.milliseconds,
  connectTimeout: check.milliseconds,
  closeTimeout: check.milliseconds,
  signal: check.abortSignal,
  highWaterMark: check.atLeast(1, 'bytes'),
  discard: check.boolean,
  maxBufferedAmount: check.atLeast(0, 'bytes'),
  unflushed: check.oneOf('resend', 'reject'),
  idleTimeout: check.milliseconds,
  writeTimeout: check.milliseconds,
  heartbeat: (value, name) => {
    check.shape(value, name, { interval: check.atLeast(1, 'milliseconds'), message: () => {} });
    const { interval, message } = value as Partial<Heartbeat<unknown>>;
    if (interval === undefined) throw check.wrongType(`${name}.interval`, 'a number of milliseconds', interval);
    if (message === undefined) throw check.wrongType(`${name}.message`, 'a message', message);
  },
};

/** Lays `place` over `under`. A path and a port say the same thing, so the one that comes last takes the other away. */
function overlay<T extends Endpoint>(under: T, place: T): T {
  const merged: T = { ...under };
  if (place.path !== undefined) {
    delete merged.port;
    delete merged.host;
  } else if (place.port !== undefined || place.host !== undefined) delete merged.path;
  for (const [key, value] of Object.entries(place)) {
    // An address of the scheme tls: says that there is TLS, not with which options.
    const keep = key === 'tls' && value === true && typeof merged.tls === 'object';
    if (value !== undefined && !keep) Object.assign(merged, { [key]: value });
  }
  return merged;
}

/** Reads one argument of `connect()` as the options it stands for. */
function read<In, Out>(argument: unknown): ConnectOptions<In, Out> {
  if (argument === undefined) return {};
  if (typeof argument === 'number') return { port: check.port(argument) };
  if (typeof argument === 'string' || argument instanceof URL) return parseAddress(argument);
  if (typeof argument === 'function') return { onLink: argument as OnLink<In, Out> };
  if (!check.isObject(argument)) {
    throw check.wrongType('an argument of connect()', 'a port, an address, a function or options', argument);
  }
  check.shape(argument, '', OPTIONS);
  return argument as ConnectOptions<In, Out>;
}

/** One entry of `endpoints`, completed from what the options say. */
function readEndpoint(entry: unknown, index: number, base: Endpoint): Endpoint {
  const name = `endpoints[${index}]`;
  let place: Endpoint;
  if (typeof entry === 'number') place = { port: check.port(entry, name) };
  else if (typeof entry === 'string' || entry instanceof URL) place = parseAddress(entry, name);
  else {
    check.shape(entry, name, ENDPOINT);
    place = entry as Endpoint;
  }
  return complete(overlay(base, place), name);
}

function complete(place: Endpoint, name: string): Endpoint {
  const { path, port, host = 'localhost', tls = false } = place;
  if (path !== undefined) return { path, tls };
  if (port === undefined) {
    throw new TypeError(`recon: ${name} says nothing to connect to: a port, a path or dial is missing, got ${inspect(place)}`);
  }
  return { port: check.port(port), host, tls };
}

/** A message that the codec refuses is found out now, rather than never sent. */
function readHeartbeat<In, Out>({ heartbeat, codec }: ConnectOptions<In, Out>): Heartbeat<Out> | undefined {
  if (heartbeat === undefined || heartbeat.interval === Infinity) return undefined;
  try {
    encode((codec ?? bytes) as Codec<In, Out>, heartbeat.message);
  } catch (error) {
    throw check.wrongType('heartbeat.message', 'a message that can be sent', heartbeat.message, error);
  }
  return { ...heartbeat, interval: pause(heartbeat.interval) };
}

/** Turns the arguments of `connect()`, in any order, into settings; throws a `TypeError` or a `RangeError`. */
export function settle<In, Out>(args: readonly unknown[]): Settings<In, Out> {
  const given = args.map((argument) => read<In, Out>(argument)).reduce(overlay, {});
  const { port, host, path, tls } = given;
  const base: Endpoint = overlay({}, { port, host, path, tls } as Endpoint);
  const minTimeout = given.retry?.minTimeout ?? 100;
  const maxTimeout = given.retry?.maxTimeout ?? Math.max(30_000, minTimeout);
  return {
    endpoints: given.dial
      ? []
      : given.endpoints
        ? Array.from(given.endpoints, (entry, index) => readEndpoint(entry, index, base))
        : [complete(base, 'connect()')],
    dial: given.dial,
    noDelay: given.noDelay ?? true,
    keepAlive: given.keepAlive ?? true,
    keepAliveInitialDelay: pause(given.keepAliveInitialDelay ?? 10_000),
    onLink: given.onLink,
    // Without a codec, the messages are the bytes: In and Out are at their defaults then.
    codec: given.codec ?? (bytes as unknown as Codec<In, Out>),
    retry: {
      ...given.retry,
      retries: given.retry?.retries ?? Infinity,
      factor: given.retry?.factor ?? 2,
      minTimeout: pause(minTimeout),
      maxTimeout: pause(maxTimeout),
      randomize: given.retry?.randomize ?? true,
    },
    minUptime: given.minUptime ?? 5_000,
    connectTimeout: timer(given.connectTimeout ?? 10_000),
    closeTimeout: pause(given.closeTimeout ?? 5_000),
    signal: given.signal,
    highWaterMark: given.highWaterMark ?? 1024 * 1024,
    discard: given.discard ?? false,
    maxBufferedAmount: given.maxBufferedAmount ?? 16 * 1024 * 1024,
    unflushed: given.unflushed ?? 'resend',
    idleTimeout: timer(given.idleTimeout ?? 0),
    writeTimeout: timer(given.writeTimeout ?? 0),
    heartbeat: readHeartbeat(given),
  };
}
