import { channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { debuglog, inspect } from 'node:util';
import type { Reason } from './errors.js';
import type { Link } from './link.js';

/** A link that was up is lost. */
export interface Drop<In, Out> {
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
  readonly error: Reason;
  /** Milliseconds until the next attempt. */
  readonly delay: number;
}

/** The events of a connection and the arguments of their listeners. */
export interface ConnectionEvents<In, Out> {
  /** The first link is up. */
  connect: [link: Link<In, Out>];
  /** A later link is up. */
  reconnect: [link: Link<In, Out>];
  /** A link that was up is lost; not the last one of a clean end. */
  drop: [drop: Drop<In, Out>];
  /** An attempt failed, and the next one follows after a wait. */
  retry: [retry: Retry];
  /** All that had to wait has been flushed, or has gone: once for each backlog. */
  drain: [];
  /** The connection failed: whenever `closed` rejects, once, and only to those who listen. */
  error: [error: Reason];
  /** All over. */
  close: [];
}

type Names = keyof ConnectionEvents<unknown, unknown>;
type Listener<In, Out, Name extends Names> = (...args: ConnectionEvents<In, Out>[Name]) => void;

/** An `EventEmitter` that knows the names of a connection's events, and their arguments. */
export class ConnectionEmitter<In, Out> extends EventEmitter {}

export interface ConnectionEmitter<In, Out> {
  on<Name extends Names>(name: Name, listener: Listener<In, Out, Name>): this;
  once<Name extends Names>(name: Name, listener: Listener<In, Out, Name>): this;
  off<Name extends Names>(name: Name, listener: Listener<In, Out, Name>): this;
  addListener<Name extends Names>(name: Name, listener: Listener<In, Out, Name>): this;
  removeListener<Name extends Names>(name: Name, listener: Listener<In, Out, Name>): this;
  prependListener<Name extends Names>(name: Name, listener: Listener<In, Out, Name>): this;
  prependOnceListener<Name extends Names>(name: Name, listener: Listener<In, Out, Name>): this;
  emit<Name extends Names>(name: Name, ...args: ConnectionEvents<In, Out>[Name]): boolean;
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

/** Publishes an event on `recon:<name>` of `diagnostics_channel`, and with `NODE_DEBUG=recon` on stderr. */
export function publish(name: keyof typeof channels, connection: unknown, [argument]: readonly unknown[]): void {
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
  if (argument instanceof Error) return argument.message;
  const parts = Object.entries(argument).map(([name, part]) =>
    isLink(part) ? brief(part) : `${name}: ${part instanceof Error ? part.message : inspect(part)}`,
  );
  return parts.join(', ');
}
