import { isIPv6 } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { port as checkPort, wrongType } from './check.js';

/** A place to connect to: a TCP port and host, or a Unix socket's path; through TLS or plain. */
export interface Endpoint {
  /** TCP port, 0 to 65535, as a number or a string of digits. */
  port?: number | string | undefined;
  /**
   * Host name or IP address.
   * @default 'localhost'
   */
  host?: string | undefined;
  /** Path of a Unix socket (or of a named pipe on Windows), instead of `port` and `host`. */
  path?: string | undefined;
  /**
   * `true`, or options of `tls.connect`. Certificates are verified, and `servername` defaults to the host.
   * @default false
   */
  tls?: boolean | ConnectionOptions | undefined;
}

/**
 * @internal
 * Reads `4321`, `tcp://host:port`, `tls://host:port`, `unix:/path`, `host:port`, `[::1]:port`, or a host alone. An
 * unbracketed IPv6 address is a host alone.
 */
export function parseAddress(address: string | URL, name = 'address'): Endpoint {
  const text = typeof address === 'string' ? address : address.href;
  if (/^\d+$/.test(text)) return { port: checkPort(text, name === 'address' ? 'port' : name) };

  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    if (path === '') throw wrongType(name, 'unix: and a path', text);
    if (typeof address === 'string') return { path };
    try {
      return { path: decodeURIComponent(path) };
    } catch {
      throw wrongType(name, 'unix: and a path', text);
    }
  }

  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [undefined, undefined, text];
  if (scheme !== undefined && !/^(tcp|tls)$/i.test(scheme)) {
    throw wrongType(name, 'of the scheme tcp:, tls: or unix:', text);
  }
  // A host is anything a resolver may know; what could only be a path, a user name or a mistake is refused.
  const [, bracketed, plain, port] =
    /^(?:\[([^\s\]/]+)\]|([^\s:/@?#[\]]+))(?::(\d+))?\/?$/.exec(rest) ?? [];
  const host = bracketed ?? plain;
  if (scheme !== undefined) {
    if (host === undefined || port === undefined) throw wrongType(name, `${scheme}://host:port`, text);
    return { host, port: checkPort(port, `the port of ${name}`), tls: scheme.toLowerCase() === 'tls' };
  }
  if (host !== undefined && !rest.endsWith('/')) return port === undefined ? { host } : { host, port: checkPort(port, `the port of ${name}`) };
  if (isIPv6(rest)) return { host: rest };
  const hint = text.includes('/') ? ' (a Unix socket is written unix:/path)' : '';
  throw wrongType(name, `a host, host:port, [IPv6]:port, tcp://, tls:// or unix:${hint}`, text);
}

/** @internal Whether a resolver could know it: one word of at most 253 characters (RFC 1035), which is no address with a port. */
export const isHost = (host: string): boolean => host.length <= 253 && /^[^\s\0/@?#[\]]+$/.test(host);
