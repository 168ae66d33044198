import { Duplex } from 'node:stream';
import { Generator } from '../generator.js';
import { Clock } from './clock.js';
import type { Contender } from './contenders.js';

/** Milliseconds that the links are up before the server dies: more than `minUptime`. */
const LASTED = 10_000;
/** Milliseconds after the server's return at which a client is lost for good. */
const PATIENCE = 120_000;
/** Milliseconds of one count of arrivals. */
export const BIN = 100;

export interface Outage {
  readonly clients: number;
  /** Seconds that the server is away. */
  readonly seconds: number;
  readonly seed: number;
}

/** What the server saw, from its death until the last client was back. */
export interface Storm {
  readonly outage: Outage;
  /** Attempts, successful or not, in each tenth of a second since the server died. */
  readonly arrivals: readonly number[];
  /** When each client was back, in milliseconds since the server's return, in order. */
  readonly back: readonly number[];
}

/** The one server. While it is down, it refuses at once. */
class Server {
  readonly arrivals: number[] = [];
  readonly back: number[] = [];
  readonly #clock: Clock;
  #links: Duplex[] = [];
  #diedAt = Infinity;
  #returnedAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get links(): number {
    return this.#links.length;
  }

  readonly dial = (): Duplex => {
    const { now } = this.#clock;
    this.#count(now - this.#diedAt);
    if (this.#returnedAt === Infinity) throw refused;
    this.back.push(now - this.#returnedAt);
    const link = new Duplex({ read: () => {} });
    this.#links.push(link);
    return link;
  };

  /** Loses all links in one instant. */
  die(): void {
    const links = this.#links;
    this.#links = [];
    this.back.length = 0;
    this.#diedAt = this.#clock.now;
    this.#returnedAt = Infinity;
    for (const link of links) link.destroy();
  }

  return(): void {
    this.#returnedAt = this.#clock.now;
  }

  /** What comes at the very end of a bin belongs to it: what was refused at the last moment came before the return. */
  #count(sinceDeath: number): void {
    if (sinceDeath < 0) return;
    const bin = Math.max(0, Math.ceil(sinceDeath / BIN) - 1);
    while (this.arrivals.length <= bin) this.arrivals.push(0);
    this.arrivals[bin]! += 1;
  }
}

const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

/** Lets the server of so many clients, all of them connected, be away for some time. */
export async function simulate(contender: Contender, outage: Outage): Promise<Storm> {
  const { clients, seconds, seed } = outage;
  const dice = new Generator(seed);
  using clock = new Clock(() => dice.fraction());
  const server = new Server(clock);
  const allUp = (): boolean => server.links === clients;

  for (let client = 0; client < clients; client++) void contender.start(server.dial);
  await clock.run(LASTED);
  if (!allUp()) throw new Error(`${contender.name}: ${server.links} of ${clients} were connected`);
  server.die();
  await clock.run(seconds * 1_000);
  server.return();
  await clock.run(PATIENCE, allUp);
  if (!allUp()) throw new Error(`${contender.name}: ${server.links} of ${clients} came back`);
  return { outage, arrivals: server.arrivals, back: server.back };
}
