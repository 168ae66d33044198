import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import type { Bare } from './bare.js';
import { ConnectionModel, FIN, type ModelOptions } from './connection.js';
import { goOnAtOnce, type Step } from './steps.js';
import { textOf, Whole } from './whole.js';
import { type Iterated, latin1, type Manner, type Results } from './world.js';
import type { Promised, Reading, Written } from './model.js';

/** Turns of the event loop within which the real thing must come to agree. */
const PATIENCE = 50;
const SIZES = [0, 1, 1, 3, 3, 60, 60, 1_000, 4 * 1024, 4 * 1024 + 1, 20_000, 70_000, 300 * 1024];
const MANNERS: readonly Manner[] = ['when told', 'when told', 'at once', 'hopefully'];
const TAKES = [1, 3, 5_000, 5_000, 100_000, Infinity, Infinity];
const CHUNKS = [1, 2, 5, 2_000, 70_000];
const LINES = ['a\n', 'bcd', '\n', 'efg\nh', 'i\nj\nk\n'];
const KINDS = ['message', 'batch', 'link'] as const;
const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;

/** A reader; and one for the link that it is at, if it goes through the links. */
interface Hand {
  readonly reader: Reading;
  readonly results: Results;
  inner?: Hand;
}

/** One life of a real thing and of the model beside it, step by step. */
export class Life {
  /** What has happened, in words. */
  readonly story: string[] = [];
  readonly #options: ModelOptions;
  readonly #model: ConnectionModel;
  readonly #world: Whole | Bare;
  /** What the real thing was seen to do that the model doesn't allow. */
  #offence: unknown;
  readonly #promises: { readonly what: string; readonly real: Promised; readonly model: Promised }[] = [];
  /** Those who wait for something to read, once for each `next()`. */
  readonly #waiting: Reading[] = [];
  readonly #hands: Hand[] = [];
  readonly #aborters = [new AbortController(), new AbortController()];
  #last: { readonly promise: Promise<void>; readonly written: Written } | undefined;
  #count = 0;
  #peerHasEnded = false;

  constructor(options: ModelOptions, World: typeof Whole | typeof Bare) {
    this.#options = options;
    this.#model = new ConnectionModel(options);
    const handed = (bytes: string, atOnce: boolean): void => {
      assert.is(this.#model.phase, 'up', 'what is written goes out on a link that is up');
      this.#model.out.send(bytes, atOnce);
    };
    this.#world = new World(options, {
      handed: (bytes, atOnce) => this.#note(() => handed(bytes, atOnce)),
      taken: (length) => this.#note(() => this.#model.out.take(length)),
    });
  }

  /** Throws if the real thing and the model disagree. */
  async live(steps: readonly Step[]): Promise<void> {
    try {
      await this.#agree();
      for (const [index, step] of steps.entries()) {
        const goesOn = goOnAtOnce(step, steps[index + 1]);
        this.#do(step, goesOn);
        if (!goesOn) await this.#agree();
      }
      await this.#close();
    } finally {
      this.#world.destroy();
    }
  }

  #do({ name, a, b }: Omit<Step, 'atOnce'>, goesOn = false): void {
    const told = this[name](a, b);
    if (told !== undefined) this.story.push(goesOn ? `${told}, and at once` : told);
  }

  /** A last `end()`, and a network that does what it can; then whoever reads finds all that is left. */
  async #close(): Promise<void> {
    const step = (name: Step['name'], a: number): Promise<void> => {
      this.#do({ name, a, b: 0 });
      return this.#agree();
    };
    await step('leave', 0);
    await step('leave', 1);
    await step('end', 0);
    await step('dialled', 0);
    await step('linked', 0);
    // What is taken makes room for more, in bursts and in slices.
    for (let count = 0; this.#model.out.size > 0 && count < 100; count++) await step('take', 5);
    await step('goodbye', 0);
    assert.is(this.#model.phase, 'over', 'it ends');
    do await step('next', 0);
    while (!this.#hands[0]!.reader.isDone);
    for (let turns = 0; turns < 3; turns++) await turn();
    await this.#agree();
    assert.equal(this.#promises.filter(({ model }) => model.settled === 'pending').map(({ what }) => what), []);
    assert.is(this.#model.in.size, 0, 'everything was read, or is gone');
  }

  write(a: number, b: number): string {
    // Nobody can see whether what is empty was handed to a link that is lost: it may wait or be refused.
    const size = Math.max(at(SIZES, a), this.#options.unflushed === 'reject' ? 1 : 0);
    const text = b % 7 === 0 ? 'é'.repeat(Math.ceil(size / 2)) : String.fromCharCode(97 + (this.#count++ % 26)).repeat(size);
    const message = b % 2 === 0 || this.#options.inLines ? text : Buffer.from(text);
    // Where it goes out in slices, nobody can see whether it has begun.
    const canBeTakenBack = b % 3 === 0 && size > 0 && !this.#options.hasWriteTimeout;
    const signal = canBeTakenBack ? at(this.#aborters, b).signal : undefined;
    const bytes = this.#encoded(latin1(text));
    const refusal = this.#model.out.refusal(bytes.length);
    const promise = this.#world.write(message, signal);
    if (refusal) this.#expect('write()', promise, { settled: refusal });
    else if (promise === this.#last?.promise) this.#note(() => this.#model.out.join(bytes, this.#last!.written));
    else {
      const written = this.#model.out.write(bytes, signal, this.#model.phase === 'up');
      this.#last = { promise, written };
      this.#expect('write()', promise, written);
    }
    const { bufferedAmount } = this.#world.observe();
    this.#note(() => assert.is(bufferedAmount, this.#model.out.size, 'bufferedAmount, right after write()'));
    return `write ${size} bytes${signal ? ` with signal ${b % 2}` : ''}`;
  }

  abort(a: number): string {
    const index = a % this.#aborters.length;
    this.#model.out.takeBack(this.#aborters[index]!.signal);
    this.#aborters[index]!.abort(new Error('aborted'));
    this.#aborters[index] = new AbortController();
    return `abort signal ${index}`;
  }

  end(a: number): string {
    const { out } = this.#model;
    // Too long to join what was written before, of which its promise would not tell.
    const message = a % 2 === 1 && this.#world instanceof Whole ? '.'.repeat(5_000) : undefined;
    const bytes = message && this.#encoded(message);
    // A full buffer doesn't refuse it.
    const refusal = message && out.isClosed ? 'ERR_RECON_CLOSED' : undefined;
    const promise = this.#world.end(message);
    const farewell = bytes && !refusal ? out.write(bytes, undefined, this.#model.phase === 'up') : undefined;
    const model = refusal ? { settled: refusal } : this.#model.end(farewell);
    const told = message ? 'end(5000 bytes)' : 'end()';
    if (promise) this.#expect(told, promise, model);
    return told;
  }

  destroy(a: number): string {
    const how = at(['destroy()', 'destroy(error)', 'abort'], a);
    const error = how === 'destroy()' ? undefined : this.#error('destroyed');
    this.#model.destroy(error?.message);
    if (how === 'abort' && this.#world instanceof Whole) this.#world.abort(error!);
    else this.#world.destroy(error);
    return how;
  }

  reconnect(): string | undefined {
    if (!(this.#world instanceof Whole)) return undefined;
    this.#expect('reconnect()', this.#world.reconnect(), this.#model.reconnect());
    return 'reconnect()';
  }

  next(a: number, b: number): string | undefined {
    const index = a % 2;
    let hand = this.#hands[index];
    if (hand === undefined || hand.reader.isDone) {
      const by = at(KINDS, b);
      const world = this.#world;
      const results = by === 'message' ? world.messages() : by === 'batch' ? world.batches() : world.links();
      hand = { reader: { by, isWaiting: false, isDone: false }, results };
      this.#hands[index] = hand;
    }
    // The second of two moves on from a link that the first has not told of yet.
    if (hand.reader.by === 'link' && hand.reader.isWaiting) return undefined;
    this.#read(hand);
    return `next() of reader ${index}, by ${hand.reader.by}`;
  }

  nextOfLink(a: number): string | undefined {
    const inner = this.#hands[a % 2]?.inner;
    if (inner === undefined) return undefined;
    this.#read(inner);
    return `next() of reader ${a % 2}'s link`;
  }

  leave(a: number): string | undefined {
    const hand = this.#hands[a % 2];
    if (hand === undefined) return undefined;
    for (const { reader, results } of hand.inner ? [hand.inner, hand] : [hand]) {
      this.#model.in.leave(reader);
      void results.return!();
    }
    return `reader ${a % 2} leaves`;
  }

  dialled(a: number): string | undefined {
    if (this.#model.phase !== 'dialling') return undefined;
    // One slice has to wait for the other.
    const manner = this.#options.hasWriteTimeout ? 'when told' : at(MANNERS, a);
    this.#peerHasEnded = false;
    this.#model.dialled();
    this.#world.dialled(manner);
    return `a link, which takes ${manner}`;
  }

  linked(): string | undefined {
    if (this.#model.phase !== 'onLink' || !(this.#world instanceof Whole)) return undefined;
    this.#model.linked();
    this.#world.linked();
    return 'onLink is done';
  }

  failAttempt(): string | undefined {
    const { phase } = this.#model;
    if ((phase !== 'dialling' && phase !== 'onLink') || !(this.#world instanceof Whole)) return undefined;
    const error = this.#error('failed');
    this.#model.fail(error.message);
    this.#world.failAttempt(error);
    return phase === 'dialling' ? 'the dial fails' : 'onLink throws';
  }

  take(a: number): string | undefined {
    if (this.#model.phase !== 'up') return undefined;
    this.#world.take(at(TAKES, a));
    return `the link takes ${at(TAKES, a)} bytes`;
  }

  takeLate(): string {
    this.#world.takeLate();
    return 'the last link takes bytes too late';
  }

  arrive(a: number): string | undefined {
    if (!this.#model.hasLink || this.#peerHasEnded) return undefined;
    // Under a mark, chunks are so large that none joins another: each counts until it is read.
    const size = this.#options.highWaterMark < Infinity ? 40_000 : at(CHUNKS, a);
    const bytes = this.#options.inLines ? at(LINES, a) : String(this.#count++ % 10).repeat(size);
    this.#model.arrive(bytes);
    this.#world.arrive(bytes);
    return this.#options.inLines ? `${JSON.stringify(bytes)} arrives` : `${size} bytes arrive`;
  }

  goodbye(): string | undefined {
    // A stream that was paused by some bytes may tell of a goodbye right behind them, or not.
    if (!this.#model.hasLink || this.#peerHasEnded || this.#model.isHeldUp) return undefined;
    this.#peerHasEnded = true;
    this.#model.arrive(FIN);
    this.#world.sayGoodbye();
    return 'the peer says goodbye';
  }

  fail(): string | undefined {
    if (!this.#model.hasLink) return undefined;
    const error = this.#error('broken');
    this.#model.lose(error.message);
    this.#world.fail(error);
    return 'the link breaks';
  }

  /** One that can be told from every other. */
  #error(what: string): Error {
    return new Error(`${what} ${this.#count++}`);
  }

  #encoded(text: string): string {
    return this.#options.inLines ? `${text}\n` : text;
  }

  #read(hand: Hand): void {
    const { reader, results } = hand;
    const incoming = this.#model.in;
    if (!incoming.ask(reader)) return this.#expect('next()', results.next(), { settled: 'ERR_RECON_READING' });
    const ready = incoming.serves(reader);
    this.#waiting.push(reader);
    const got = (take: () => void): void => {
      this.#waiting.splice(this.#waiting.indexOf(reader), 1);
      this.#note(take);
      this.#model.turn();
    };
    results.next().then(
      ({ done, value }) =>
        got(() => {
          if (done) incoming.gotEnd(reader, 'done');
          else if (reader.by === 'link') this.#visit(hand, value as Iterated);
          else incoming.gotMessages(reader, this.#bytesOf(value), ready);
        }),
      (error: unknown) => got(() => incoming.gotEnd(reader, textOf(error))),
    );
  }

  #visit(hand: Hand, link: Iterated): void {
    this.#model.in.gotLink(hand.reader, link.number);
    const reader: Reading = { by: 'message', of: this.#model.in.visited!, isWaiting: false, isDone: false };
    hand.inner = { reader, results: link[Symbol.asyncIterator]() as Results };
  }

  #bytesOf(value: unknown): string {
    const messages = Array.isArray(value) ? value : [value];
    return messages.map((message) => this.#encoded(latin1(message))).join('');
  }

  #expect(what: string, promise: Promise<unknown>, model: Promised): void {
    const real: Promised = { settled: 'pending' };
    promise.then(
      (value) => (real.settled = value === undefined ? 'done' : `link ${(value as Iterated).number}`),
      (error: unknown) => (real.settled = textOf(error)),
    );
    this.#promises.push({ what, real, model });
  }

  /** Looks at what the real thing does in the middle of its work, where nothing must be thrown. */
  #note(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.#offence ??= error;
    }
  }

  /** Lets all that follows of itself happen. */
  async #agree(): Promise<void> {
    let difference: string | undefined;
    for (let turns = 0; turns < PATIENCE; turns++) {
      this.#model.turn();
      await turn();
      this.#model.turn();
      if (this.#offence) throw this.#offence;
      difference = this.#difference();
      if (difference === undefined) return;
    }
    throw new Error(difference);
  }

  #difference(): string | undefined {
    const { bytesDiscarded: least, ...expected } = this.#model.observe();
    const { bytesDiscarded, ...seen } = this.#world.observe();
    for (const [name, actual] of Object.entries(seen)) {
      if (actual !== expected[name]) return `${name} is ${actual}, and must be ${expected[name]}`;
    }
    // A message that was read may be counted with those that came with it and were not.
    if ((bytesDiscarded as number) < (least as number)) return `bytesDiscarded is ${bytesDiscarded}, and must be ${least}`;
    for (const { what, real, model } of this.#promises) {
      if (real.settled !== model.settled) return `a ${what} is ${real.settled}, and must be ${model.settled}`;
    }
    if (this.#model.phase === 'up' && this.#model.out.isStuck) return 'something waits, and the link has nothing to do';
    if (this.#waiting.some((reader) => this.#model.in.serves(reader))) return 'a next() waits, and there is something to be read';
    return undefined;
  }
}
