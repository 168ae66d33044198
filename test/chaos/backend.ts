import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import type { Certificate } from '../certificates.js';
import { contentOf, type Dialect, HELLO } from './dialects.js';
import type { Generator } from '../generator.js';
import { PeerLink } from '../peer.js';

/**
 * A server that talks without end on every link, until the client's goodbye, and notes what it gets. What it says
 * follows from its seed: the n-th message of its m-th link is always the same.
 */
export class Backend implements AsyncDisposable {
  port = 0;
  /** How often it has stopped. */
  stops = 0;
  readonly #dialect: Dialect;
  readonly #random: Generator;
  readonly #context: tls.SecureContext | undefined;
  /** Oldest first, but for those that are forgotten. */
  #links: BackendLink[] = [];
  readonly #sockets = new Set<net.Socket>();
  #server: net.Server | undefined;
  #accepted = 0;

  /** @param certificate - to be shown if it is to speak TLS */
  constructor(dialect: Dialect, random: Generator, certificate?: Certificate) {
    this.#dialect = dialect;
    this.#random = random;
    this.#context = certificate && tls.createSecureContext(certificate);
  }

  /** Listens (again), on the same port as before. */
  async start(): Promise<void> {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      // Counted as they come: handshakes may be done in another order.
      const number = this.#accepted++;
      if (this.#context) this.#secure(socket, this.#context, number);
      else this.#talk(socket, number);
    });
    while (!(await listens(this.#server, this.port))) await sleep(100);
    this.port = (this.#server.address() as net.AddressInfo).port;
  }

  /** The newest link from this port. */
  from(port: number): BackendLink | undefined {
    return this.#links.findLast((link) => link.port === port);
  }

  find(number: number): BackendLink | undefined {
    return this.#links.find((link) => link.number === number);
  }

  /** Nobody will ask for this link any more. */
  forget(link: BackendLink): void {
    this.#links = this.#links.filter((other) => other !== link);
  }

  /** Listens no more, and drops its links. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    this.stops += 1;
    const closed = once(server, 'close');
    server.close();
    for (const link of this.#links) link.drop();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Unlike `tls.createServer()`, it hears a goodbye in the middle of the handshake, though it is half open. */
  #secure(socket: net.Socket, secureContext: tls.SecureContext, number: number): void {
    const secured = new tls.TLSSocket(socket, { isServer: true, secureContext });
    const giveUp = (): unknown => secured.destroy();
    secured.once('end', giveUp).once('error', giveUp);
    secured.once('secure', () => {
      secured.off('end', giveUp);
      this.#talk(secured, number);
    });
  }

  #talk(socket: net.Socket, number: number): void {
    this.#links.push(new BackendLink(number, socket, this.#dialect, this.#random.fork(number)));
  }
}

/** False if the port is taken: while nobody listened there, the system may have given it to a client. */
async function listens(server: net.Server, port: number): Promise<boolean> {
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'EADDRINUSE') return false;
    throw error;
  }
}

/** One of its links. */
export class BackendLink {
  /** 0 for the first that was accepted. */
  readonly number: number;
  /** Of the other side. */
  readonly port: number | undefined;
  /** Bytes that it has said. */
  said = 0;
  /** The server dropped it. */
  dropped = false;
  readonly #peer: PeerLink;
  readonly #dialect: Dialect;
  readonly #random: Generator;
  #goodbye = false;

  constructor(number: number, socket: net.Socket, dialect: Dialect, random: Generator) {
    this.number = number;
    this.port = socket.remotePort;
    this.#peer = new PeerLink(socket);
    this.#dialect = dialect;
    this.#random = random;
    void this.#peer.ended.then(() => (this.#goodbye = true));
    void this.#talk().catch(() => socket.destroy());
  }

  get received(): Buffer {
    return this.#peer.received;
  }

  get closed(): boolean {
    return this.#peer.socket.closed;
  }

  /** The n-th message that it says, as bytes. */
  words(n: number): Buffer {
    const beginning = n === 0 ? `${HELLO}${this.number}` : `${this.number}.${n}`;
    return this.#dialect.bytes(this.#dialect.message(contentOf(beginning, this.#random.fork(n), this.#dialect.longest)));
  }

  drop(): void {
    this.dropped ||= !this.closed;
    this.#peer.socket.destroy();
  }

  /** Talks until the goodbye of the other side, and a little longer. */
  async #talk(): Promise<void> {
    let n = 0;
    let last: boolean;
    do {
      last = this.#goodbye;
      const burst = Array.from({ length: this.#random.between(1, 30) }, () => this.words(n++));
      this.said += burst.reduce((sum, words) => sum + words.length, 0);
      await this.#peer.send(Buffer.concat(burst));
      await (this.#random.chance(0.5) ? turn() : sleep(this.#random.between(1, 8)));
    } while (!last);
    this.#peer.end();
  }
}
