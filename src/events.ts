import { channel } from 'node:diagnostics_channel';
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

/** Counters of a connection's whole life, as they are at the moment. */
export interface Stats {
  /** Links that came up. */
  readonly links: number;
  /** Attempts to bring one up. */
  readonly attempts: number;
  /** Bytes received, counted as they arrive. */
  readonly bytesRead: number;
  /** Bytes that the system has taken. */
  readonly bytesWritten: number;
  /** Bytes received that nobody read or will read. */
  readonly bytesDiscarded: number;
  /** Why the last attempt failed or the last link was lost; undefined if nothing has gone wrong yet. */
  readonly lastError: Reason | undefined;
}

export type Counters = { -readonly [name in keyof Stats]: Stats[name] };

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
