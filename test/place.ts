import { once } from 'node:events';
import net from 'node:net';

/** Where a server listens: at a port of loopback, or at a Unix socket's path. */
export interface Spot {
  port?: number;
  host?: string;
  path?: string;
}

/** Whom those that hold a port are connected to. */
const anchor = net.createServer((socket) => socket.on('error', () => {}).unref());
await once(anchor.listen(0).unref(), 'listening');

/** Binds a socket to this port that doesn't listen: a dial is refused, and the system gives the port to nobody who asks for any. */
async function hold(port: number, host: string): Promise<net.Socket> {
  const target = (anchor.address() as net.AddressInfo).port;
  const socket = net.connect({ port: target, host, localAddress: host, localPort: port }).unref();
  await once(socket, 'connect');
  return socket;
}

/**
 * A place for a server that goes away and comes back. A port that it left would be anybody's, and other tests run beside:
 * a dial that was to be refused would reach a stranger, and the server would find its port taken.
 */
export class Place implements AsyncDisposable {
  readonly #host: string;
  readonly #path: string | undefined;
  #server: net.Server | undefined;
  #held: Promise<net.Socket> | undefined;
  port: number;

  constructor({ port = 0, host = '127.0.0.1', path }: Spot) {
    this.#host = host;
    this.#path = path;
    this.port = port;
  }

  /** Has a server listen here. Its port stays the same from then on. */
  async take(server: net.Server): Promise<void> {
    this.#server = server;
    server.listen(this.#path === undefined ? { port: this.port, host: this.#host } : { path: this.#path });
    await once(server, 'listening');
    if (this.#path === undefined) this.port = (server.address() as net.AddressInfo).port;
  }

  /** Has it listen no more, until the next one does. */
  async leave(): Promise<void> {
    const closed = this.#close();
    if (this.#path === undefined) this.#held ??= hold(this.port, this.#host);
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    (await this.#held)?.resetAndDestroy();
  }

  /** Settles once the server's links are gone, too. */
  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    await closed;
  }
}
