import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'recon';
import { Tally, type Transport } from '../chaos/account.js';
import { DIALECTS } from '../chaos/dialects.js';
import { type Itinerary, Journey } from '../chaos/journey.js';
import type { Trouble } from '../chaos/plan.js';
import { Generator } from '../generator.js';

const TRANSPORTS: readonly Transport[] = ['tcp', 'tls', 'duplex'];
const TROUBLES: readonly Trouble[] = ['FIN', 'half', 'close', 'RST'];
/** Connections under way at the same time, besides those that live all the time. */
const TRAVELLERS = 4;
/** Milliseconds that a server is away when it is restarted. */
const AWAY = 1_000;
/** Milliseconds in which everybody must have come to rest after a round. Whoever waits in vain gives up long before. */
const PATIENCE = 120_000;

/**
 * Many connections under chaos, in rounds. One connection of each transport lives all the time, and only rests between
 * the rounds; others come and go. All their servers are restarted now and then. What happens in a round to those who
 * come and go follows from the seed and the number of the round.
 */
export class Soak {
  readonly tally = new Tally();
  /** Promises that were broken. */
  readonly broken: string[] = [];
  connections = 0;
  restarts = 0;
  /** All connections share it, and nobody aborts it. */
  readonly signal = new AbortController().signal;
  readonly #random: Generator;
  readonly #onBroken: (problem: string) => void;
  readonly #residents: Journey[] = [];
  /** How many problems of each resident have been told. */
  readonly #told = new Map<Journey, number>();

  constructor(seed: number, onBroken: (problem: string) => void) {
    this.#random = new Generator(seed);
    this.#onBroken = onBroken;
  }

  /** The connections that live all the time. */
  get residents(): readonly Connection<any, any>[] {
    return this.#residents.map(({ conn }) => conn);
  }

  /** Links so far, of everybody. */
  get links(): number {
    return this.#residents.reduce((sum, { account }) => sum + account.tally.links, this.tally.links);
  }

  async begin(): Promise<void> {
    for (const transport of TRANSPORTS) {
      const random = this.#random.fork('resident', transport);
      const journey = await this.#setOut(this.#itinerary(random, transport), random);
      this.#residents.push(journey);
      await journey.rest();
    }
  }

  /** Goes on until it is over, then comes to rest. Returns whether everybody did. */
  async round(number: number, over: () => boolean): Promise<boolean> {
    const random = this.#random.fork('round', number);
    const all = [
      ...this.#residents.map((journey, index) => this.#reside(journey, random.fork('resident', index), over)),
      ...Array.from({ length: TRAVELLERS }, (_, index) => this.#travel(random.fork('traveller', index), over)),
    ];
    const done = Promise.all(all).then(
      () => true,
      (error: unknown) => this.#tell(`somebody failed: ${String(error)}`),
    );
    while (!over()) await sleep(100);
    const rested = await Promise.race([done, sleep(PATIENCE, undefined, { ref: false })]);
    if (!rested) this.#tell('not everybody came to rest');
    return rested === true;
  }

  async end(): Promise<void> {
    for (const journey of this.#residents.splice(0)) await this.#arrive(journey, 'end');
  }

  async #reside(journey: Journey, random: Generator, over: () => boolean): Promise<void> {
    await journey.proceed();
    await this.#roam(journey, random, over);
    await journey.rest();
    this.#report(journey);
  }

  /** One connection after another. */
  async #travel(random: Generator, over: () => boolean): Promise<void> {
    for (let trip = 0; !over(); trip++) {
      const chance = random.fork('trip', trip);
      const journey = await this.#setOut(this.#itinerary(chance, chance.oneOf(TRANSPORTS)), chance);
      const end = performance.now() + chance.between(500, 12_000);
      await this.#roam(journey, chance, () => over() || performance.now() > end);
      await this.#arrive(journey, chance.chance(0.8) ? 'end' : 'destroy');
    }
  }

  /** Writes and reads, while the server is restarted now and then. */
  async #roam(journey: Journey, random: Generator, over: () => boolean): Promise<void> {
    const restart = async (): Promise<void> => {
      for (;;) {
        const next = performance.now() + random.between(2_000, 10_000);
        while (performance.now() < next && !over()) await sleep(100);
        if (over()) return;
        await journey.backend.stop();
        await sleep(AWAY);
        await journey.backend.start();
        this.restarts += 1;
      }
    };
    await Promise.all([journey.write(over), restart()]);
  }

  #itinerary(random: Generator, transport: Transport): Itinerary {
    return {
      transport,
      dialect: random.oneOf(DIALECTS),
      unflushed: random.oneOf(['resend', 'reject'] as const),
      troubles: TROUBLES,
      unlucky: Infinity,
      signal: this.signal,
    };
  }

  async #setOut(itinerary: Itinerary, random: Generator): Promise<Journey> {
    this.connections += 1;
    return Journey.begin(itinerary, random);
  }

  async #arrive(journey: Journey, how: 'end' | 'destroy'): Promise<void> {
    this.tally.add(await journey[how]());
    this.#report(journey);
    this.#told.delete(journey);
  }

  #report(journey: Journey): void {
    const { problems } = journey.account;
    const news = problems.slice(this.#told.get(journey) ?? 0);
    this.#told.set(journey, problems.length);
    for (const problem of news.slice(0, 3)) this.#tell(`${journey}: ${problem}`);
    if (news.length > 3) this.#tell(`${journey}: and ${news.length - 3} more`);
  }

  #tell(problem: string): void {
    this.broken.push(problem);
    this.#onBroken(problem);
  }
}
