import { once } from 'node:events';
import net from 'node:net';

/**
 * Stands on loopback between a client and a server, and can stop moving bytes: a dead cable, a firewall that forgot, a
 * machine that was switched off. Sockets stay open and nothing closes; new ones are accepted, and as silent.
 */
export class Proxy implements AsyncDisposable {
  readonly port: number;
  readonly #target: number;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #held: net.Socket[] = [];
  readonly #gather: number;
  #stalled = false;

  private constructor(server: net.Server, target: number, gather: number) {
    this.#server = server;
    this.#target = target;
    this.#gather = gather;
    this.port = (server.address() as net.AddressInfo).port;
    server.on('connection', (client) => this.#accept(client));
  }

  /** @param gather - milliseconds for which it gathers what it moves, so that it arrives together */
  static async start(target: number, { gather = 0 } = {}): Promise<Proxy> {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Proxy(server, target, gather);
  }

  /** Moves nothing more: neither bytes nor goodbyes nor resets. */
  stall(): void {
    this.#stalled = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Moves again what was held back, too. */
  flow(): void {
    this.#stalled = false;
    for (const client of this.#held.splice(0)) this.#join(client);
    for (const socket of this.#sockets) socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(client: net.Socket): void {
    this.#keep(client);
    if (this.#stalled) this.#held.push(client);
    else this.#join(client);
  }

  #join(client: net.Socket): void {
    if (client.destroyed) return;
    const server = net.connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true });
    this.#keep(server);
    this.#move(client, server);
    this.#move(server, client);
    client.resume();
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #move(from: net.Socket, to: net.Socket): void {
    let gathered: Buffer[] = [];
    const hand = (): void => {
      if (gathered.length > 0) to.write(Buffer.concat(gathered));
      gathered = [];
    };
    from.on('data', (chunk: Buffer) => {
      if (this.#gather > 0) {
        if (gathered.push(chunk) === 1) setTimeout(hand, this.#gather);
        return;
      }
      if (to.write(chunk)) return;
      from.pause();
      to.once('drain', () => {
        if (!this.#stalled) from.resume();
      });
    });
    from.on('end', () => {
      hand();
      to.end();
    });
    from.on('close', () => {
      if (!to.writableEnded) to.destroy();
    });
  }
}
