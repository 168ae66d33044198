import { Connection } from './connection.js';
import { because, isMistake } from './errors.js';
import type { ConnectArgument, ConnectOptions, OnLink } from './options.js';
import { readSettings, type Settings } from './settings.js';

/** A port, or any address that `connect()` takes. */
type Address = number | string | URL;

/**
 * Connects, and stays connected: fulfilled when the first link is up and its `onLink` is done, however long that takes.
 * To see what it waits for, run with `NODE_DEBUG=recon` or pass `retry.onFailedAttempt`; to limit the wait, pass
 * `retry.retries`, `retry.maxRetryTime` or a `signal`. It keeps the process running until it is ended.
 *
 * Arguments are told apart by their type, so that any order works and each can stand in the options instead: a number
 * or a string of digits is the port; a function is `onLink`; an object is options; any other string, or a `URL`, is a
 * host or an address (`tcp://host:port`, `tls://host:port`, `unix:/path`, `host:port`, `[::1]:port`). Where two say the
 * same thing, the last wins.
 *
 * Never throws, but rejects: at once with a `TypeError` or `RangeError` for arguments that can't be right, and nothing is
 * dialled; with the last error when it gives up (see `retry`); with `signal.reason` when it is aborted.
 *
 * @typeParam In - what is read: `Buffer`s, or the messages of the `codec`
 * @typeParam Out - what is written: strings and `Uint8Array`s, or the messages of the `codec`
 *
 * @example
 * const conn = await connect(4321);
 * for await (const chunk of conn) console.log(chunk.toString());   // reads on across reconnects
 *
 * @example
 * const conn = await connect('tls://logs.example.com:6514', { codec: lines(), discard: true });
 * const conn = await connect(4321, 'example.com', (link) => link.write('HELLO\n'), { retry: { retries: 5 } });
 */
export function connect<In = Buffer, Out = string | Uint8Array>(
  address: Address,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
/**
 * Connects to where the options say, as {@link connect} does with an address.
 *
 * @example
 * const conn = await connect({ endpoints: ['a.example.com:4222', 'b.example.com:4222'], codec: lines() });
 */
export function connect<In = Buffer, Out = string | Uint8Array>(
  options: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
/** Connects to a port of a host, as {@link connect} does to an address. */
export function connect<In = Buffer, Out = string | Uint8Array>(
  port: number | string,
  host: string,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
/** Connects to a port of a host and calls `onLink` for every link, as {@link connect} does with an address. */
export function connect<In = Buffer, Out = string | Uint8Array>(
  port: number | string,
  host?: string,
  onLink?: OnLink<In, Out>,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
/** Connects to an address and calls `onLink` for every link. */
export function connect<In = Buffer, Out = string | Uint8Array>(
  address: Address,
  onLink: OnLink<In, Out>,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
/** Takes its arguments in any order: a port, a host or an address, `onLink`, options. */
export function connect<In = Buffer, Out = string | Uint8Array>(
  ...args: ConnectArgument<In, Out>[]
): Promise<Connection<In, Out>>;
export async function connect<In, Out>(...args: readonly unknown[]): Promise<Connection<In, Out>> {
  const settings = settingsOf<In, Out>(args);
  settings.signal?.throwIfAborted();
  const connection = new Connection(settings);
  await connection.opened();
  return connection;
}

/** Settles the arguments. What is wrong with them is wrong where `connect()` was called: there the stack begins. */
function settingsOf<In, Out>(args: readonly unknown[]): Settings<In, Out> {
  try {
    return readSettings(args);
  } catch (error) {
    // What is not ours, a getter or a Proxy has thrown.
    const isOurs = isMistake(error) && String(error.message).startsWith('recon: ');
    const mistake = isOurs ? error : new TypeError(`recon: the options cannot be read${because(error)}`, { cause: error });
    Error.captureStackTrace(mistake, connect);
    throw mistake;
  }
}
