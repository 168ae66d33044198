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
  /** Where it listens; undefined while it does not. */
  port: number | undefined;
  /** How often it has stopped. */
  stops = 0;
  readonly #dialect: Dialect;
  readonly #random: Generator;
  readonly #context: tls.SecureContext | undefined;
  /** Oldest first, but for those that are forgotten. */
  #links: BackendLink[] = [];
  #server: net.Server | undefined;
  #accepted = 0;

  /** @param certificate - to be shown if it is to speak TLS */
  constructor(dialect: Dialect, random: Generator, certificate?: Certificate) {
    this.#dialect = dialect;
    this.#random = random;
    this.#context = certificate && tls.createSecureContext(certificate);
  }

  /** Listens (again), on any port: the one before may be somebody else's by now. */
  async start(): Promise<void> {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const number = this.#accepted++;
      const link = new BackendLink(number, socket, this.#dialect, this.#random.fork(number));
      this.#links.push(link);
      if (this.#context) this.#secure(socket, this.#context, link);
      else link.talk(socket);
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as net.AddressInfo).port;
  }

  /** The link that was dialled from this port at this time. In the long run, a port is used again. */
  from(port: number, dialledAt: number): BackendLink | undefined {
    return this.#links.find((link) => link.port === port && link.acceptedAt >= dialledAt);
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
    this.port = undefined;
    const closed = once(server, 'close');
    server.close();
    for (const link of this.#links) link.drop();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Unlike `tls.createServer()`, it hears a goodbye in the middle of the handshake, though it is half open. */
  #secure(socket: net.Socket, secureContext: tls.SecureContext, link: BackendLink): void {
    const secured = new tls.TLSSocket(socket, { isServer: true, secureContext });
    const giveUp = (): unknown => secured.destroy();
    secured.once('end', giveUp).once('error', giveUp);
    secured.once('secure', () => {
      secured.off('end', giveUp);
      link.talk(secured);
    });
  }
}

/** One of its links. */
export class BackendLink {
  /** 0 for the first that was accepted. */
  readonly number: number;
  /** Of the other side. */
  readonly port: number | undefined;
  /** By `performance.now()`. */
  readonly acceptedAt = performance.now();
  /** Bytes that it has said. */
  said = 0;
  /** The server dropped it. */
  dropped = false;
  readonly #accepted: net.Socket;
  readonly #dialect: Dialect;
  readonly #random: Generator;
  /** Once it talks: with TLS, after the handshake. */
  #peer: PeerLink | undefined;
  #goodbye = false;

  constructor(number: number, accepted: net.Socket, dialect: Dialect, random: Generator) {
    this.number = number;
    this.port = accepted.remotePort;
    this.#accepted = accepted;
    this.#dialect = dialect;
    this.#random = random;
  }

  get received(): Buffer {
    return this.#peer?.received ?? Buffer.alloc(0);
  }

  get closed(): boolean {
    return (this.#peer?.socket ?? this.#accepted).closed;
  }

  talk(socket: net.Socket): void {
    this.#peer = new PeerLink(socket);
    void this.#peer.ended.then(() => (this.#goodbye = true));
    void this.#talk(this.#peer).catch(() => socket.destroy());
  }

  /** The n-th message that it says, as bytes. */
  words(n: number): Buffer {
    const beginning = n === 0 ? `${HELLO}${this.number}` : `${this.number}.${n}`;
    return this.#dialect.bytes(this.#dialect.message(contentOf(beginning, this.#random.fork(n), this.#dialect.longest)));
  }

  drop(): void {
    this.dropped ||= !this.closed;
    this.#peer?.socket.destroy();
    this.#accepted.destroy();
  }

  /** Talks until the goodbye of the other side, and a little longer. */
  async #talk(peer: PeerLink): Promise<void> {
    let n = 0;
    let last: boolean;
    do {
      last = this.#goodbye;
      const burst = Array.from({ length: this.#random.between(1, 30) }, () => this.words(n++));
      this.said += burst.reduce((sum, words) => sum + words.length, 0);
      await peer.send(Buffer.concat(burst));
      await (this.#random.chance(0.5) ? turn() : sleep(this.#random.between(1, 8)));
    } while (!last);
    peer.end();
  }
}
