import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Place, type Spot } from './place.js';

/** What a server of the tests can be told. */
export interface PeerOptions extends Spot {
  /** Doesn't answer a goodbye with its own: `link.end()` does. */
  halfOpen?: boolean;
  /** Sends back what it gets. */
  echo?: boolean;
  /** Called with each link as it is accepted. */
  onLink?: (link: PeerLink) => void;
}

/** A server on loopback whose every step can be awaited: links as they come, bytes, ends. */
export class Peer implements AsyncDisposable {
  readonly links: PeerLink[] = [];
  readonly #options: PeerOptions;
  readonly #place: Place;
  #taken = 0;
  #waiting: ((link: PeerLink) => void)[] = [];

  private constructor(options: PeerOptions) {
    this.#options = options;
    this.#place = new Place(options);
  }

  get port(): number {
    return this.#place.port;
  }

  static async start(options: PeerOptions = {}): Promise<Peer> {
    const peer = new Peer(options);
    await peer.start();
    return peer;
  }

  /** A port on which nobody listens, as long as this process lives. */
  static async freePort(): Promise<number> {
    const peer = await Peer.start();
    await peer.stop();
    return peer.port;
  }

  /** Listens (again), on the same port as before. */
  async start(): Promise<void> {
    const { onLink, echo, halfOpen = false } = this.#options;
    const server = net.createServer({ allowHalfOpen: halfOpen }, (socket) => {
      const link = new PeerLink(socket);
      this.links.push(link);
      if (echo) socket.on('data', (chunk) => socket.write(chunk));
      onLink?.(link);
      this.#serve();
    });
    await this.#place.take(server);
  }

  /** Listens no more, and resets all its links. */
  async stop(): Promise<void> {
    const left = this.#place.leave();
    for (const link of this.links) link.socket.destroy();
    await left;
  }

  /** The next link, in the order in which they are accepted. */
  nextLink(): Promise<PeerLink> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#serve();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = this.#place[Symbol.asyncDispose]();
    for (const link of this.links) link.socket.destroy();
    await gone;
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#taken < this.links.length) {
      this.#waiting.shift()!(this.links[this.#taken++]!);
    }
  }
}

/** One accepted socket. */
export class PeerLink {
  readonly socket: net.Socket;
  #chunks: Buffer[] = [];
  #length = 0;
  /** Fulfilled when the other side has said goodbye. */
  readonly ended: Promise<void>;
  readonly closed: Promise<void>;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      socket.emit('more');
    });
    this.ended = new Promise((resolve) => socket.once('end', resolve));
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  get received(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.received.toString();
  }

  /** Waits until this has been received in all. */
  async until(text: string): Promise<void> {
    while (!this.text.includes(text)) await once(this.socket, 'more');
  }

  /** Waits until so many bytes have been received in all. */
  async untilLength(length: number): Promise<void> {
    while (this.#length < length) await once(this.socket, 'more');
  }

  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** FIN. */
  end(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Reads nothing more, so that the other side can't write for long. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}

/** Waits until something holds that no event tells of. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5);
}
