import { inspect } from 'node:util';
import { type Endpoint, isHost, parseAddress } from './address.js';
import * as check from './check.js';
import { bytes, type Codec, encode } from './codec.js';
import { MAX_TIMER } from './deadline.js';
import { checkTls, type DialSettings } from './dial.js';
import type { Heartbeat, LinkSettings } from './link.js';
import type { ConnectOptions, OnLink, RetryOptions } from './options.js';

export type RetrySettings = RetryOptions & Readonly<Record<'retries' | 'minTimeout' | 'maxTimeout' | 'factor', number>>;

/** The options with every default filled in and every value checked. */
export interface Settings<In, Out> extends DialSettings, LinkSettings<In, Out> {
  readonly onLink: OnLink<In, Out> | undefined;
  readonly retry: RetrySettings;
  readonly minUptime: number;
  readonly signal: AbortSignal | undefined;
  /** No codec was given: the messages are the bytes. */
  readonly raw: boolean;
  readonly highWaterMark: number;
  readonly maxBufferedAmount: number;
  readonly unflushed: 'resend' | 'reject';
}

/** Milliseconds, as long as a Node timer can be. */
const clamped = (value: number): number => Math.min(value, MAX_TIMER);
/** The same, where `Infinity` is off. */
const timeout = (value: number): number => (value === Infinity ? 0 : clamped(value));

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
  retries: (value, name) => {
    check.atLeast(0, 'retries')(value, name);
    if (value !== Infinity && !Number.isInteger(value)) throw check.outOfRange(name, 'an integer, or Infinity', value);
  },
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
    if (!check.isObject(value)) throw check.wrongType(name, 'an object with decoder() and encode(), such as lines()', value);
    check.callback(value['decoder'], `${name}.decoder`);
    check.callback(value['encode'], `${name}.encode`);
  },
  retry: (value, name) => {
    if (!check.isObject(value)) throw check.wrongType(name, 'an object, such as { retries: 5 }', value);
    check.shape(value, name, RETRY);
  },
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

/** p-retry's options, for the hint when `{ retries }` is written for `{ retry: { retries } }`. */
const ELSEWHERE = Object.keys(RETRY).map((name) => `retry.${name}`);

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
  check.shape(argument, '', OPTIONS, ELSEWHERE);
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
    const missing = name === 'connect()' ? 'a port, a path or dial' : 'a port or a path';
    throw new TypeError(`recon: ${name} says nothing to connect to: ${missing} is missing, got ${inspect(tls ? { ...place, tls: true } : place)}`);
  }
  return { port: check.port(port), host, tls };
}

function readRetry(given: RetryOptions): RetrySettings {
  const minTimeout = given.minTimeout ?? 100;
  const maxTimeout = given.maxTimeout ?? Math.max(30_000, minTimeout);
  return {
    ...given,
    retries: given.retries ?? Infinity,
    factor: given.factor ?? 2,
    minTimeout: clamped(minTimeout),
    maxTimeout: clamped(maxTimeout),
    randomize: given.randomize ?? true,
  };
}

const RETRY_DEFAULTS = readRetry({});

/** Encodes the heartbeat once: a message that the codec refuses must fail now. */
function readHeartbeat<In, Out>({ heartbeat, codec }: ConnectOptions<In, Out>): Heartbeat<Out> | undefined {
  if (heartbeat === undefined || heartbeat.interval === Infinity) return undefined;
  try {
    encode((codec ?? bytes) as Codec<In, Out>, heartbeat.message);
  } catch (error) {
    throw check.wrongType('heartbeat.message', 'a message that can be sent', heartbeat.message, error);
  }
  return { ...heartbeat, interval: clamped(heartbeat.interval) };
}

/** Turns the arguments of `connect()`, in any order, into settings; throws a `TypeError` or a `RangeError`. */
export function readSettings<In, Out>(args: readonly unknown[]): Settings<In, Out> {
  const given = args.map((argument) => read<In, Out>(argument)).reduce(overlay, {});
  const { port, host, path, tls } = given;
  const base: Endpoint = overlay({}, { port, host, path, tls } as Endpoint);
  const endpoints = given.endpoints && Array.from(given.endpoints, (entry, index) => readEndpoint(entry, index, base));
  return {
    endpoints: given.dial ? [] : (endpoints ?? [complete(base, 'connect()')]),
    dial: given.dial,
    noDelay: given.noDelay ?? true,
    keepAlive: given.keepAlive ?? true,
    keepAliveInitialDelay: clamped(given.keepAliveInitialDelay ?? 10_000),
    onLink: given.onLink,
    raw: given.codec === undefined,
    // In and Out are at their defaults then.
    codec: given.codec ?? (bytes as unknown as Codec<In, Out>),
    retry: given.retry ? readRetry(given.retry) : RETRY_DEFAULTS,
    minUptime: given.minUptime ?? 5_000,
    connectTimeout: timeout(given.connectTimeout ?? 10_000),
    closeTimeout: clamped(given.closeTimeout ?? 5_000),
    signal: given.signal,
    highWaterMark: given.highWaterMark ?? 1024 * 1024,
    discard: given.discard ?? false,
    maxBufferedAmount: given.maxBufferedAmount ?? 16 * 1024 * 1024,
    unflushed: given.unflushed ?? 'resend',
    idleTimeout: timeout(given.idleTimeout ?? 0),
    writeTimeout: timeout(given.writeTimeout ?? 0),
    heartbeat: readHeartbeat(given),
  };
}
