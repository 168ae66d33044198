import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { connect, type Connection, type ConnectOptions, type Link } from 'recon';
import { Authority } from '../certificates.js';
import { Account, type Tally, type Transport } from './account.js';
import { Backend } from './backend.js';
import { contentOf, type Dialect } from './dialects.js';
import { CALM, type Misfortune, misfortune, type Trouble } from './plan.js';
import { type Read, readLinks, READERS } from './readers.js';
import { Tunnel } from './tunnel.js';
import type { Outcome } from './writes.js';
import { ChaosProxy } from './proxy.js';
import type { Generator } from '../generator.js';
import { eventually } from '../peer.js';

/**
 * In so many ticks of so many milliseconds, what must happen soon must have happened. Ticks are counted, and not the time:
 * while the machine was asleep, nobody has waited.
 */
const PATIENCE = 100;
const TICK = 100;

const authority = new Authority();
const certificate = authority.issue();

export interface Itinerary {
  readonly transport: Transport;
  readonly dialect: Dialect;
  readonly unflushed: 'resend' | 'reject';
  readonly troubles: readonly Trouble[];
  /** So many links have a misfortune; those that come after them have none. */
  readonly unlucky: number;
  readonly signal?: AbortSignal;
}

interface Parts {
  readonly itinerary: Itinerary;
  readonly random: Generator;
  readonly plan: (link: number) => Misfortune;
  readonly account: Account;
  readonly proxy: ChaosProxy;
  readonly backend: Backend;
  readonly conn: Connection<any, any>;
}

/**
 * One connection's life under chaos, from a client through a proxy to a server. It writes and reads, and everything is
 * entered in an account. Its chance follows from its seed.
 */
export class Journey {
  readonly account: Account;
  readonly proxy: ChaosProxy;
  readonly backend: Backend;
  readonly conn: Connection<any, any>;
  readonly itinerary: Itinerary;
  readonly #plan: (link: number) => Misfortune;
  readonly #writer: Generator;
  readonly #reader: Generator;
  readonly #reading: Promise<void>;
  readonly #pending = new Set<Promise<unknown>>();
  /** A write was refused for want of room. */
  #full = false;
  #failure: Error | undefined;

  private constructor(parts: Parts, read: Read) {
    this.account = parts.account;
    this.proxy = parts.proxy;
    this.backend = parts.backend;
    this.conn = parts.conn;
    this.itinerary = parts.itinerary;
    this.#plan = parts.plan;
    this.#writer = parts.random.fork('writer');
    this.#reader = parts.random.fork('reader');
    this.account.watch(this.conn);
    this.#reading = this.#readToTheEnd(read);
  }

  /** Sets out: the first link is up. */
  static async begin(itinerary: Itinerary, random: Generator): Promise<Journey> {
    const { transport, dialect, unflushed, troubles, unlucky, signal } = itinerary;
    const traits = random.fork('traits');
    const backend = new Backend(dialect, random.fork('server'), transport === 'tls' ? certificate : undefined);
    await backend.start();
    const plan = (link: number): Misfortune => (link < unlucky ? misfortune(random.fork('link', link), troubles) : CALM);
    const proxy = await ChaosProxy.start(() => backend.port, plan);
    const read = traits.oneOf(READERS);
    const greeting = (link: number): unknown =>
      dialect.message(contentOf(`hello ${link}`, random.fork('greeting', link), Math.min(dialect.longest, 1_000)));
    const greets = traits.chance(0.5);
    const parts = { transport, dialect, random, unflushed, proxy, backend };
    const account = new Account({ ...parts, greeting: greets ? greeting : undefined });
    const onLink = async (link: Link<any, any>): Promise<void> => {
      account.meet(link);
      if (!greets) return;
      await link.write(greeting(link.number));
      // Only one who reads link by link can tell what was read ahead of it.
      if (read === readLinks) account.readAhead(await link.read(), link);
    };
    const conn = await connect({
      ...placeOf(transport, proxy.port),
      ...(dialect.codec && { codec: dialect.codec }),
      ...(signal && { signal }),
      onLink,
      unflushed,
      minUptime: 0,
      retry: { minTimeout: 1, maxTimeout: 20 },
      connectTimeout: 1_000,
      closeTimeout: 300,
      idleTimeout: 200,
      writeTimeout: traits.oneOf([0, 500]),
      highWaterMark: traits.oneOf([1, 4_096, 1_048_576]),
      maxBufferedAmount: traits.oneOf([100_000, 16_777_216]),
    });
    return new Journey({ itinerary, random, plan, account, proxy, backend, conn }, read);
  }

  /** Writes until it is enough: in bursts, sometimes of more than there is room for, and sometimes it takes some back. */
  async write(enough: () => boolean): Promise<void> {
    const random = this.#writer;
    while (!enough() && !this.#failure) {
      const regret = random.chance(0.3) ? new AbortController() : undefined;
      const writes = this.#burst(regret?.signal);
      if (random.chance(0.01)) this.#track(this.#reconnect());
      if (random.chance(0.3)) regret?.abort();
      const pause = random.between(0, 3);
      if (pause === 0) await this.#inTime(writes.at(-1), 'a write');
      else if (pause === 1) await turn();
      else await sleep(random.between(1, 6));
      regret?.abort();
      if (this.#full && this.conn.bufferedAmount > 0) await this.#inTime(once(this.conn, 'drain'), 'drain');
      this.#full = false;
    }
  }

  toString(): string {
    const { transport, dialect, unflushed } = this.itinerary;
    return `${transport}, ${dialect.name}, ${unflushed}`;
  }

  /** Comes to rest: what was written is settled, and the link that is up is a new one, without a misfortune. */
  async rest(): Promise<void> {
    const { account, proxy } = this;
    proxy.plan(() => CALM);
    await this.#inTime(Promise.all(this.#pending), `${this.#pending.size} promises`);
    await this.#inTime(this.#reconnect(), 'the next link');
    await this.#until(() => {
      account.settle();
      return proxy.ledger.length === 1;
    }, 'the links before to be over');
  }

  /** Goes on after a rest. */
  async proceed(): Promise<void> {
    this.proxy.plan(this.#plan);
    await this.#inTime(this.#reconnect(), 'the next link');
  }

  /** Says something and goodbye, and waits until all is over and checked. */
  async end(): Promise<Tally> {
    this.#burst();
    this.#track(this.conn.end());
    return this.#arrive();
  }

  /** Breaks off in the middle of a word, with an error, and waits until all is over and checked. */
  async destroy(): Promise<Tally> {
    this.#burst();
    this.#breakOff();
    return this.#arrive();
  }

  async #arrive(): Promise<Tally> {
    const { account, conn, proxy, backend } = this;
    const closed = conn.closed.catch((error: unknown) => {
      if (error !== this.#failure) account.complain(`the connection failed: ${String(error)}`);
    });
    await this.#inTime(closed, 'the connection to be closed');
    await this.#inTime(Promise.all([this.#reading, ...this.#pending]), `the reader, and ${this.#pending.size} promises`);
    await this.#until(() => {
      account.settle();
      return proxy.ledger.length === 0;
    }, 'the links to be over');
    account.close(conn);
    await proxy[Symbol.asyncDispose]();
    await backend.stop();
    return account.tally;
  }

  /** @param signal - takes back some of it */
  #burst(signal?: AbortSignal): Promise<void>[] {
    const random = this.#writer;
    const length = random.between(1, 20);
    return Array.from({ length }, () => this.#write(signal && random.chance(0.1) ? { signal } : undefined));
  }

  #write(options?: { signal: AbortSignal }): Promise<void> {
    const { account, conn } = this;
    const { message, settle } = account.writes.next();
    const done = (outcome: Outcome): void => {
      settle(outcome, conn.stats.links);
      account.settled(outcome);
    };
    const written = conn.write(message, options).then(
      () => done('flushed'),
      (error: Error & { code?: string }) => done(this.#outcomeOf(error)),
    );
    this.#track(written);
    return written;
  }

  #outcomeOf(error: Error & { code?: string }): Outcome {
    const { code, name } = error;
    if (name === 'AbortError') return 'refused';
    if (code === 'ERR_RECON_BUFFER_FULL') {
      this.#full = true;
      return 'refused';
    }
    if (code === 'ERR_RECON_UNFLUSHED' && this.itinerary.unflushed === 'reject') return 'unflushed';
    if (code !== 'ERR_RECON_CLOSED' || !this.#failure) this.account.complain(`a write was rejected: ${String(error)}`);
    return 'closed';
  }

  /** Where the connection ends before the next link is up, there is none. */
  #reconnect(): Promise<unknown> {
    return this.conn.reconnect().catch((error: unknown) => {
      if (this.conn.readyState !== 'closed') throw error;
    });
  }

  /** Waits for what must happen soon. If it doesn't, that is told, and the journey is broken off. */
  async #inTime(promise: Promise<unknown> | undefined, what: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      let ticks = 0;
      timer = setInterval(() => {
        if (++ticks < PATIENCE) return;
        this.#inVain(what);
        resolve();
      }, TICK);
    });
    await Promise.race([promise, late]);
    clearInterval(timer);
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    let over = false;
    const held = eventually(() => over || holds());
    await this.#inTime(held, what);
    over = true;
  }

  #inVain(what: string): void {
    this.account.complain(`waited ${(PATIENCE * TICK) / 1_000} s in vain for ${what}`);
    this.#breakOff();
  }

  #breakOff(): void {
    this.#failure ??= new Error('the journey is broken off');
    this.account.unreadIsGone();
    this.conn.destroy(this.#failure);
  }

  /** It must settle, and not fail unless the connection does. */
  #track(promise: Promise<unknown>): void {
    this.#pending.add(promise);
    promise
      .catch((error: unknown) => this.#failure ?? this.account.complain(`a promise was rejected: ${String(error)}`))
      .finally(() => this.#pending.delete(promise));
  }

  async #readToTheEnd(read: Read): Promise<void> {
    const { account, conn } = this;
    const random = this.#reader;
    const slow = random.chance(0.4);
    try {
      const take = (message: unknown, link?: Link<any, any>): Promise<void> | undefined => {
        account.take(message, link);
        return slow && random.chance(0.01) ? sleep(random.between(1, 10)) : undefined;
      };
      await read(conn, { take, leave: (link) => account.leave(link) }, random);
    } catch (error) {
      if (error !== this.#failure) account.complain(`the reader failed: ${String(error)}`);
    }
    account.readToTheEnd();
  }
}

/** Where to connect to, and how. */
function placeOf(transport: Transport, port: number): ConnectOptions<any, any> {
  const place = { host: '127.0.0.1', port };
  if (transport === 'tcp') return place;
  if (transport === 'tls') return { ...place, tls: { ca: authority.cert } };
  return {
    dial: async ({ signal }) => {
      const socket = net.connect(place);
      try {
        await once(socket, 'connect', { signal });
        return new Tunnel(socket);
      } catch (error) {
        socket.destroy();
        throw error;
      }
    },
  };
}
