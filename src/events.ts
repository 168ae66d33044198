import { channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { debuglog, inspect } from 'node:util';
import { isError, type Reason } from './errors.js';
import type { Link } from './link.js';

/** A link that was up is lost. */
export interface Drop<In = Buffer, Out = string | Uint8Array> {
  /** The link that was lost. */
  readonly link: Link<In, Out>;
  /** Why; undefined for a peer's plain goodbye (FIN). */
  readonly reason: Reason | undefined;
  /** Bytes of a message that was begun and not finished. */
  readonly discarded: number;
}

/** An attempt failed, and there will be another. */
export interface Retry {
  /** 1 for the first attempt of an outage, and so on. */
  readonly attempt: number;
  /** Why it failed: mostly the system's error, such as `ECONNREFUSED`. */
  readonly error: Reason;
  /** Milliseconds until the next attempt. */
  readonly delay: number;
}

/** The events of a connection and the arguments of their listeners. They are told on the next tick, in order. */
export interface ConnectionEvents<In = Buffer, Out = string | Uint8Array> {
  /** The first link is up; heard by a listener that is added right after `await connect()`. */
  connect: [link: Link<In, Out>];
  /** A later link is up; its `onLink` is done. */
  reconnect: [link: Link<In, Out>];
  /** A link that was up is lost; not the last one of a clean end. */
  drop: [drop: Drop<In, Out>];
  /** An attempt failed, and the next one follows after a wait. */
  retry: [retry: Retry];
  /** All that had to wait has been flushed, or has gone: once for each backlog. */
  drain: [];
  /** The connection failed: whenever `closed` rejects, once, and only to those who listen. */
  error: [error: Reason];
  /** All over, once; before `closed` and `end()` settle. */
  close: [];
}

type EventName = keyof ConnectionEvents<unknown, unknown>;
type Listener<In, Out, Name extends EventName> = (...args: ConnectionEvents<In, Out>[Name]) => void;

/** An `EventEmitter` that knows the names of a connection's events, and their arguments. */
export class ConnectionEmitter<In, Out> extends EventEmitter {}

export interface ConnectionEmitter<In, Out> {
  /**
   * Adds a listener: for `connect` and `reconnect` (a link is up), `drop` (a link is lost), `retry` (an attempt failed),
   * `drain` (all is flushed), `error` (given up) and `close` (all over). See {@link ConnectionEvents}.
   *
   * @example
   * conn.on('retry', ({ attempt, error, delay }) => console.log(`attempt ${attempt}: ${error.message}; next in ${delay} ms`));
   */
  on<Name extends EventName>(name: Name, listener: Listener<In, Out, Name>): this;
  /** Adds a listener for the next one alone. */
  once<Name extends EventName>(name: Name, listener: Listener<In, Out, Name>): this;
  /** Removes a listener. */
  off<Name extends EventName>(name: Name, listener: Listener<In, Out, Name>): this;
  addListener<Name extends EventName>(name: Name, listener: Listener<In, Out, Name>): this;
  removeListener<Name extends EventName>(name: Name, listener: Listener<In, Out, Name>): this;
  prependListener<Name extends EventName>(name: Name, listener: Listener<In, Out, Name>): this;
  prependOnceListener<Name extends EventName>(name: Name, listener: Listener<In, Out, Name>): this;
  emit<Name extends EventName>(name: Name, ...args: ConnectionEvents<In, Out>[Name]): boolean;
}

const debug = debuglog('recon');

const channels = {
  connect: channel('recon:connect'),
  reconnect: channel('recon:reconnect'),
  drop: channel('recon:drop'),
  retry: channel('recon:retry'),
  drain: channel('recon:drain'),
  error: channel('recon:error'),
  close: channel('recon:close'),
};

/**
 * @internal Tells of an event on the next tick, in order: a listener never runs in the middle of a change, and one that is
 * added right after `await connect()` hears `connect`.
 */
export function tell<In, Out, Name extends EventName>(
  connection: ConnectionEmitter<In, Out>,
  name: Name,
  ...args: ConnectionEvents<In, Out>[Name]
): void {
  process.nextTick(() => {
    publish(name, connection, args);
    if (name !== 'error' || connection.listenerCount('error') > 0) connection.emit(name, ...args);
  });
}

/** Fulfilled once all that was told so far has been heard. */
export const heard = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

/** Publishes an event on `recon:<name>` of `diagnostics_channel`, and with `NODE_DEBUG=recon` on stderr. */
function publish(name: keyof typeof channels, connection: unknown, [argument]: readonly unknown[]): void {
  if (debug.enabled) debug('%s %s', name, brief(argument));
  const topic = channels[name];
  if (!topic.hasSubscribers) return;
  const details = name === 'error' ? { error: argument } : isLink(argument) ? { link: argument } : argument;
  topic.publish({ connection, ...(details as object | undefined) });
}

const isLink = (argument: unknown): argument is Link =>
  typeof argument === 'object' && argument !== null && 'openedAt' in argument;

/** A line about an event's argument; a link is told by its number and its peer. */
function brief(argument: unknown): string {
  if (argument === undefined) return '';
  if (typeof argument !== 'object' || argument === null) return inspect(argument);
  if (isLink(argument)) return `link ${argument.number} to ${argument.peer}`;
  if (isError(argument)) return argument.message;
  const parts = Object.entries(argument).map(([name, part]) =>
    isLink(part) ? brief(part) : `${name}: ${isError(part) ? part.message : inspect(part)}`,
  );
  return parts.join(', ');
}
