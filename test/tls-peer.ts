import net from 'node:net';
import tls from 'node:tls';
import type { Certificate } from './certificates.js';
import { PeerLink } from './peer.js';
import { Place, type Spot } from './place.js';

export interface TlsPeerOptions extends tls.TlsOptions, Spot {
  /** Sends back what it gets. */
  echo?: boolean;
  /** Called with each link as its handshake is done. */
  onLink?: (link: PeerLink) => void;
}

/** A {@link PeerLink} whose socket is one of TLS. */
export type TlsPeerLink = PeerLink & { readonly socket: tls.TLSSocket };

/** As `Peer`, behind TLS: the links are those whose handshake is done, the connections all that were accepted. */
export class TlsPeer implements AsyncDisposable {
  readonly links: TlsPeerLink[] = [];
  readonly connections: net.Socket[] = [];
  readonly #options: TlsPeerOptions;
  readonly #place: Place;
  #server: tls.Server | undefined;
  #taken = 0;
  #waiting: ((link: TlsPeerLink) => void)[] = [];

  private constructor(options: TlsPeerOptions) {
    this.#options = options;
    this.#place = new Place(options);
  }

  get port(): number {
    return this.#place.port;
  }

  static async start(options: TlsPeerOptions): Promise<TlsPeer> {
    const peer = new TlsPeer(options);
    await peer.start();
    return peer;
  }

  /** Listens (again), on the same port as before. */
  async start(): Promise<void> {
    const { echo, onLink, ...options } = this.#options;
    const server = tls.createServer(options, (socket) => {
      const link = new PeerLink(socket) as TlsPeerLink;
      this.links.push(link);
      if (echo) socket.on('data', (chunk) => socket.write(chunk));
      onLink?.(link);
      while (this.#waiting.length > 0 && this.#taken < this.links.length) {
        this.#waiting.shift()!(this.links[this.#taken++]!);
      }
    });
    server.on('connection', (socket: net.Socket) => this.connections.push(socket));
    server.on('tlsClientError', () => {});
    await this.#place.take(server);
    this.#server = server;
  }

  /** Shows another certificate from now on. Sessions begun under the one before are not resumed. */
  show(certificate: Certificate): void {
    this.#server?.setSecureContext({ ...this.#options, ...certificate });
  }

  /** The next link, in the order in which their handshakes are done. */
  async nextLink(): Promise<TlsPeerLink> {
    if (this.#taken < this.links.length) return this.links[this.#taken++]!;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** RST to everybody. */
  reset(): void {
    for (const socket of this.connections.splice(0)) socket.resetAndDestroy();
  }

  /** Listens no more, and drops all that it has. */
  async stop(): Promise<void> {
    const left = this.#place.leave();
    this.#drop();
    await left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = this.#place[Symbol.asyncDispose]();
    this.#drop();
    await gone;
  }

  #drop(): void {
    for (const { socket } of this.links) socket.destroy();
    for (const socket of this.connections) socket.destroy();
  }
}
