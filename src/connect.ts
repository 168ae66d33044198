import { Connection } from './connection.js';
import type { ConnectArgument, ConnectOptions, OnLink } from './options.js';
import { settle } from './settings.js';

/** A port, or any address that `connect()` takes. */
type Address = number | string | URL;

/**
 * Connects, and stays connected: fulfilled when the first link is up and its `onLink` is done, however long that takes.
 *
 * Arguments are told apart by their type, so that any order works and each can stand in the options instead: a number
 * or a string of digits is the port; a function is `onLink`; an object is options; any other string, or a `URL`, is a
 * host or an address (`tcp://host:port`, `tls://host:port`, `unix:/path`, `host:port`, `[::1]:port`). Where two say the
 * same thing, the last wins.
 *
 * Rejects at once with a `TypeError` or `RangeError` for arguments that can't be right, and nothing is dialled. Rejects
 * with the last error when it gives up (see `retry`), and with `signal.reason` when it is aborted. Never throws.
 *
 * @example
 * const conn = await connect(4321);
 * const conn = await connect('tls://logs.example.com:6514', { codec: lines(), discard: true });
 * const conn = await connect(4321, 'example.com', (link) => link.write('HELLO\n'), { retry: { retries: 5 } });
 */
export function connect<In = Buffer, Out = string | Uint8Array>(
  address: Address,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
export function connect<In = Buffer, Out = string | Uint8Array>(
  options: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
export function connect<In = Buffer, Out = string | Uint8Array>(
  port: number | string,
  host: string,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
export function connect<In = Buffer, Out = string | Uint8Array>(
  port: number | string,
  host?: string,
  onLink?: OnLink<In, Out>,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
export function connect<In = Buffer, Out = string | Uint8Array>(
  address: Address,
  onLink: OnLink<In, Out>,
  options?: ConnectOptions<In, Out>,
): Promise<Connection<In, Out>>;
export function connect<In = Buffer, Out = string | Uint8Array>(
  ...args: ConnectArgument<In, Out>[]
): Promise<Connection<In, Out>>;
export async function connect<In, Out>(...args: readonly unknown[]): Promise<Connection<In, Out>> {
  const settings = settle<In, Out>(args);
  settings.signal?.throwIfAborted();
  const connection = new Connection(settings);
  await connection.opened;
  return connection;
}
