import { connect as connectTcp, isIP, type LookupFunction, type NetConnectOpts, type OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import type { Endpoint } from './address.js';
import { Arena } from './arena.js';
import * as check from './check.js';
import { explained } from './dial-errors.js';
import { ReconError } from './errors.js';
import type { Hold } from './hold.js';
import { within } from './promises.js';
import { SlabSource, type Source, StreamSource, tryDestroy } from './source.js';

/** What a custom `dial` is told. */
export interface DialContext {
  /** 1 for the first attempt of an outage, and so on: p-retry's `attemptNumber`. */
  readonly attempt: number;
  /** Aborts when the attempt's time is up or nobody wants it any more. */
  readonly signal: AbortSignal;
}

/**
 * Brings one transport, a stream of bytes: ready, or a `net.Socket` that is still connecting.
 *
 * @example
 * const dial: Dial = async ({ signal }) => net.connect({ ...(await discover('logs')), signal });
 */
export type Dial = (context: DialContext) => Duplex | Promise<Duplex>;

/** @internal A transport that is ready. */
export interface Dialled {
  readonly socket: Duplex;
  readonly source: Source;
  /** It is one of Node's own sockets, not just any stream. */
  readonly isNetSocket: boolean;
  /** To whom, in words. */
  readonly peer: string;
}

/**
 * Happy Eyeballs (RFC 8305) as Node does it gives up on an address before it tries the next, and after 250 ms unless
 * told otherwise: too soon for a slow route, or a lost SYN. But there must be time for the next one.
 */
const perAddress = (connectTimeout: number): number => Math.min(2_000, Math.ceil(connectTimeout / 3) || Infinity);

/**
 * Whether `onread` reads into the memory that it is given. Deno 2.9 tells of bytes that it has put nowhere, once TLS has gone
 * on to the second of a name's addresses.
 */
const FILLS_SLABS = !('deno' in process.versions);

/** What Node checks only once it dials, or never. */
const UNCHECKED = {
  ALPNProtocols: check.protocols,
  checkServerIdentity: check.callback,
  lookup: check.callback,
  pskCallback: check.callback,
  secureContext: check.secureContext,
  servername: check.anyText,
  session: check.uint8Array,
  socket: check.absent('dial: () => tls.connect({ socket, … })'),
  timeout: check.duration,
};

/** @internal Refuses TLS options that can never work. */
export function checkTls(options: ConnectionOptions, name: string): void {
  for (const [option, checkIt] of Object.entries(UNCHECKED)) {
    const value = options[option as keyof typeof UNCHECKED];
    if (value !== undefined) checkIt(value, `${name}.${option}`);
  }
  try {
    createSecureContext(options);
  } catch (error) {
    const { message } = error as Error;
    throw new TypeError(`recon: ${name} cannot be used for TLS: ${message}`, { cause: error });
  }
}

/**
 * A lookup that never answers at once: `tls.connect()` goes on with its socket after it has begun to look the name up, and the
 * socket must not have failed by then.
 */
const asyncLookup =
  (lookup: LookupFunction): LookupFunction =>
  (hostname, options, callback) =>
    lookup(hostname, options, (...answer) => process.nextTick(callback, ...answer));

/** @internal */
export interface DialSettings {
  readonly endpoints: readonly Endpoint[];
  readonly dial: Dial | undefined;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
  /** 0 is no limit. */
  readonly connectTimeout: number;
}

/** The newest TLS session of each endpoint, to be resumed when it is dialled again. Every connection has endpoints of its own. */
const sessions = new WeakMap<Endpoint, Buffer>();

/** @internal Dials the endpoints in turn, or whatever `dial` brings. */
export class Dialer {
  readonly #settings: DialSettings;
  readonly #hold: Pick<Hold, 'track'>;
  readonly #arena = new Arena();
  #turn = 0;
  /** Whom it is dialling, or has dialled last, in words. */
  peer = '';

  /** @param hold - told of each socket as soon as there is one */
  constructor(settings: DialSettings, hold: Pick<Hold, 'track'>) {
    this.#settings = settings;
    this.#hold = hold;
  }

  /** Brings one transport that is ready, or throws. Whatever becomes of the dial, no socket is left behind. */
  async dial(context: DialContext): Promise<Dialled> {
    const { socket, source, peer } = await this.#begin(context);
    // An `error` event that nobody listens to would end the process.
    socket.on('error', ignore);
    this.#hold.track(socket);
    try {
      const event = awaited(socket);
      if (event !== undefined) await ready(socket, event, peer, context.signal);
      return { socket, source, isNetSocket: socket instanceof Socket, peer };
    } catch (error) {
      tryDestroy(socket);
      throw error;
    }
  }

  async #begin(context: DialContext): Promise<Omit<Dialled, 'isNetSocket'>> {
    const { dial, endpoints } = this.#settings;
    if (dial) {
      this.peer = 'a dialled stream';
      const socket = await within(context.signal, dial(context), destroyLate);
      if (!isDuplex(socket)) throw check.wrongType('what dial returns', 'a Duplex stream, or a promise of one', socket);
      return { socket, source: new StreamSource(socket, this.#arena), peer: this.peer };
    }
    const endpoint = endpoints[this.#turn++ % endpoints.length]!;
    this.peer = describe(endpoint);
    const slabs = FILLS_SLABS ? new SlabSource(this.#arena) : undefined;
    const socket = this.#connect(endpoint, slabs?.onread());
    return { socket, source: slabs?.attach(socket) ?? new StreamSource(socket, this.#arena), peer: this.peer };
  }

  #connect(endpoint: Endpoint, onread: OnReadOpts | undefined): Socket {
    const { noDelay, keepAlive, keepAliveInitialDelay, connectTimeout } = this.#settings;
    const { port, host = 'localhost', path, tls } = endpoint;
    const place =
      path === undefined
        ? { port: Number(port), host, noDelay, keepAlive, keepAliveInitialDelay, autoSelectFamilyAttemptTimeout: perAddress(connectTimeout), path: undefined }
        : { path };
    if (!tls) return connectTcp({ ...place, onread } as NetConnectOpts);

    const given = Object.entries(tls === true ? {} : tls).filter(([, value]) => value !== undefined);
    const servername = path === undefined && isIP(host) === 0 ? { servername: host } : {};
    const session = sessions.get(endpoint);
    const options: ConnectionOptions = { ...servername, ...Object.fromEntries(given), ...(session ? { session } : {}), ...place };
    if (options.lookup) options.lookup = asyncLookup(options.lookup);
    const socket = connectTls({ ...options, onread } as ConnectionOptions);
    if (noDelay) socket.setNoDelay(true);
    if (keepAlive) socket.setKeepAlive(true, keepAliveInitialDelay);
    // TLS 1.3 sends its tickets after the handshake, and each serves once: the newest is kept. Node asks for them when it
    // is listened to, and only on the handle of the moment, of which it makes a new one for each address that it tries.
    const keep = (ticket: Buffer): unknown => sessions.set(endpoint, ticket);
    return socket.once('connect', () => socket.on('session', keep));
  }
}

const ignore = (): void => {};

/** A stream that comes when nobody waits for it any more. */
const destroyLate = (socket: unknown): void => {
  if (isDuplex(socket)) tryDestroy(socket.on('error', ignore));
};

/** Waits until a socket that is still connecting is ready. Removes its listeners either way. */
async function ready(socket: Duplex, event: string, peer: string, signal: AbortSignal): Promise<void> {
  let ignoreIt = (): void => {};
  const isReady = new Promise<void>((resolve, reject) => {
    const onReady = (): void => resolve();
    const onError = (error: unknown): void => reject(explained(error, peer));
    const onClose = (): void =>
      reject(new ReconError('ERR_RECON_DROPPED', `the socket was closed while it was connecting to ${peer}`));
    socket.on(event, onReady).on('error', onError).on('close', onClose);
    ignoreIt = () => socket.off(event, onReady).off('error', onError).off('close', onClose);
  });
  try {
    await within(signal, isReady);
  } finally {
    ignoreIt();
  }
}

/** The event that a socket which is still connecting is ready with. */
function awaited(socket: Duplex): string | undefined {
  if (socket.destroyed) return undefined;
  if (socket instanceof TLSSocket) {
    const { secureConnecting } = socket as TLSSocket & { secureConnecting?: boolean };
    return socket.connecting || secureConnecting ? 'secureConnect' : undefined;
  }
  return socket instanceof Socket && socket.connecting ? 'connect' : undefined;
}

const isDuplex = (stream: unknown): stream is Duplex =>
  check.isObject(stream) && ['on', 'read', 'write', 'end', 'destroy'].every((name) => typeof stream[name] === 'function');

const describe = ({ port, host, path, tls }: Endpoint): string =>
  path === undefined ? `${tls ? 'tls' : 'tcp'}://${isIP(host!) === 6 ? `[${host}]` : host}:${port}` : `unix:${path}`;
