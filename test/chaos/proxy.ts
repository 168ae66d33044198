import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { Direction, Misfortune } from './plan.js';

/** How many bytes of each direction trickle before the rest flows. */
const TRICKLE = 100;
/** Milliseconds that a stall lasts. */
const STALL = 30;

/** What the proxy took from one side of a link, and passed on to the other. */
export interface Flow {
  /** Bytes. */
  taken: number;
  /** Bytes; all of them reach the other side, unless that one is reset. */
  passed: number;
  /** The side said goodbye, or so it looked, and that too was passed on, after every byte. */
  whole: boolean;
}

/** What became of one link. */
export interface Entry {
  /** 0 for the first link that was accepted. */
  readonly number: number;
  readonly misfortune: Misfortune;
  /** The client's own port, by which it knows this link. */
  readonly clientPort: number | undefined;
  /** From which port the server was dialled, and when (`performance.now()`); undefined if it was never reached. */
  dialled: { readonly port: number; readonly at: number } | undefined;
  readonly toServer: Flow;
  readonly toClient: Flow;
  /** The trouble has come. */
  struck: boolean;
  /** The client's socket was destroyed, so that what was on its way to it may be lost. */
  reset: boolean;
  /** Nothing moves any more, and all sockets are closed. */
  over: boolean;
}

/**
 * Stands on loopback between a client and a server, and sees to it that each link has the misfortune that is planned for
 * it. A plan knows a link by its number alone, so that a run can be had again, as far as the kernel allows.
 */
export class ChaosProxy implements AsyncDisposable {
  readonly port: number;
  /** Oldest first. Whoever has done with an entry that is over may remove it. */
  readonly ledger: Entry[] = [];
  readonly #target: () => number | undefined;
  readonly #server: net.Server;
  readonly #crossings = new Set<Crossing>();
  #plan: (number: number) => Misfortune;
  #accepted = 0;

  private constructor(server: net.Server, target: () => number | undefined, plan: (number: number) => Misfortune) {
    this.#server = server;
    this.#target = target;
    this.#plan = plan;
    this.port = (server.address() as net.AddressInfo).port;
    server.on('connection', (client) => void this.#accept(client));
  }

  /** @param target - the server's port at the moment, if it has one: if not, who comes is reset */
  static async start(target: () => number | undefined, plan: (number: number) => Misfortune): Promise<ChaosProxy> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ChaosProxy(server, target, plan);
  }

  /** Links accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Links to come have this plan. */
  plan(plan: (number: number) => Misfortune): void {
    this.#plan = plan;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const crossing of this.#crossings) crossing.destroy();
    await closed;
  }

  async #accept(client: net.Socket): Promise<void> {
    const number = this.#accepted++;
    const entry: Entry = {
      number,
      misfortune: this.#plan(number),
      clientPort: client.remotePort,
      dialled: undefined,
      toServer: { taken: 0, passed: 0, whole: false },
      toClient: { taken: 0, passed: 0, whole: false },
      struck: false,
      reset: false,
      over: false,
    };
    this.ledger.push(entry);
    const crossing = new Crossing(entry, client);
    this.#crossings.add(crossing);
    await crossing.run(this.#target());
    this.#crossings.delete(crossing);
    entry.over = true;
  }
}

/** One link's two sockets, and what moves between them. */
class Crossing {
  readonly #entry: Entry;
  readonly #client: net.Socket;
  #server: net.Socket | undefined;
  /** The directions in which bytes are passed on; those of another are taken, and lost. */
  readonly #open = new Set<Direction>(['toServer', 'toClient']);

  constructor(entry: Entry, client: net.Socket) {
    this.#entry = entry;
    this.#client = client;
    client.on('error', ignore);
  }

  /** Moves bytes until both sides are done. */
  async run(target: number | undefined): Promise<void> {
    const client = this.#client;
    if (this.#entry.misfortune.after === 'accept') {
      this.#open.clear();
      await this.#strike();
      await this.#move('toServer', client);
    } else {
      const server = target === undefined ? undefined : await this.#dial(target);
      if (server) await Promise.all([this.#move('toServer', client, server), this.#move('toClient', server, client)]);
      else this.#reset();
    }
    client.destroy();
    this.#server?.destroy();
    await Promise.all([closed(client), this.#server && closed(this.#server)]);
  }

  destroy(): void {
    this.#client.destroy();
    this.#server?.destroy();
  }

  async #dial(target: number): Promise<net.Socket | undefined> {
    const at = performance.now();
    const server = net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#server = server.on('error', ignore);
    try {
      await once(server, 'connect');
    } catch {
      return undefined;
    }
    if (server.localPort) this.#entry.dialled = { port: server.localPort, at };
    return server;
  }

  /** Takes all that one side sends until its goodbye, or its reset, and passes on what is to be passed on. */
  async #move(direction: Direction, from: net.Socket, to?: net.Socket): Promise<void> {
    const flow = this.#entry[direction];
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        const before = flow.taken;
        flow.taken += chunk.length;
        if (to && this.#open.has(direction)) await this.#pass(direction, chunk, before, to);
      }
      flow.whole = flow.passed === flow.taken && this.#open.has(direction);
    } catch {
      // Without a goodbye, as the ledger tells. A client learns of a server's reset by its own.
      if (direction === 'toClient') this.#reset();
    }
    to?.end();
  }

  /** @param before - bytes taken before this chunk */
  async #pass(direction: Direction, chunk: Buffer, before: number, to: net.Socket): Promise<void> {
    const { misfortune, struck } = this.#entry;
    const { trouble, after, exactly } = misfortune;
    const strikes =
      trouble && !struck && direction === misfortune.direction && after !== 'accept' && before + chunk.length >= after;
    const end = strikes && exactly ? after - before : chunk.length;
    await this.#hand(direction, chunk.subarray(0, end), to);
    if (!strikes) return;
    await this.#strike();
    await this.#hand(direction, chunk.subarray(end), to);
  }

  /** Hands bytes on at the pace of this link. */
  async #hand(direction: Direction, bytes: Buffer, to: net.Socket): Promise<void> {
    const { pace, delay } = this.#entry.misfortune;
    const flow = this.#entry[direction];
    if (pace === 'delay') await sleep(delay);
    const trickled = pace === 'trickle' ? Math.max(0, Math.min(TRICKLE - flow.passed, bytes.length)) : 0;
    for (let at = 0; at < bytes.length && this.#open.has(direction); ) {
      const part = at < trickled ? bytes.subarray(at, at + 1) : bytes.subarray(at);
      if (!(await written(to, part))) this.#open.delete(direction);
      else flow.passed += part.length;
      at += part.length;
      if (at <= trickled) await turn();
    }
  }

  async #strike(): Promise<void> {
    const { trouble } = this.#entry.misfortune;
    this.#entry.struck = true;
    switch (trouble) {
      case 'FIN':
        this.#open.delete('toClient');
        this.#client.end();
        break;
      case 'half':
        this.#open.delete('toServer');
        this.#server?.end();
        break;
      case 'close':
        this.#open.clear();
        this.#entry.reset = true;
        this.#client.destroy();
        break;
      case 'RST':
        this.#open.clear();
        this.#reset();
        break;
      case 'silence':
        this.#open.clear();
        break;
      case 'stall':
        await sleep(STALL);
    }
  }

  #reset(): void {
    this.#entry.reset = true;
    // What has said goodbye can't be reset, and its handle would be left.
    if (this.#client.writableEnded) this.#client.destroy();
    else this.#client.resetAndDestroy();
  }
}

const ignore = (): void => {};

/** Fulfilled when the system has taken it, or never will. */
const written = (socket: net.Socket, bytes: Buffer): Promise<boolean> =>
  new Promise((resolve) => socket.write(bytes, (error) => resolve(!error)));

const closed = async (socket: net.Socket): Promise<void> => {
  if (!socket.closed) await once(socket, 'close');
};
