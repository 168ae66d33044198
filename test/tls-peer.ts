import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { Certificate } from './certificates.js';
import { PeerLink } from './peer.js';

export interface TlsPeerOptions extends tls.TlsOptions {
  host?: string;
  /** A Unix socket's path instead. */
  path?: string;
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
  port = 0;
  readonly #options: TlsPeerOptions;
  #server: tls.Server | undefined;
  #taken = 0;
  #waiting: ((link: TlsPeerLink) => void)[] = [];

  private constructor(options: TlsPeerOptions) {
    this.#options = options;
  }

  static async start(options: TlsPeerOptions): Promise<TlsPeer> {
    const peer = new TlsPeer(options);
    await peer.start();
    return peer;
  }

  /** Listens (again), on the same port as before. */
  async start(): Promise<void> {
    const { host = '127.0.0.1', path, echo, onLink, ...options } = this.#options;
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
    server.listen(path === undefined ? { port: this.port, host } : { path });
    await once(server, 'listening');
    this.#server = server;
    if (path === undefined) this.port = (server.address() as net.AddressInfo).port;
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
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    for (const { socket } of this.links) socket.destroy();
    for (const socket of this.connections) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
