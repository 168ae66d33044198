import { syncBuiltinESMExports } from 'node:module';
import { performance } from 'node:perf_hooks';
import nodeTimers from 'node:timers';
import timers from 'node:timers/promises';

/** The longest a Node timer can be: past it, it fires after a millisecond. */
const MAX_TIMER = 2 ** 31 - 1;

type Run = () => void;

/** A timer or an immediate, as far as what is simulated handles one. */
class Timer {
  #run: Run | undefined;

  constructor(run: Run) {
    this.#run = run;
  }

  fire(): void {
    this.#run?.();
  }

  clear(): void {
    this.#run = undefined;
  }

  unref(): this {
    return this;
  }
}

/**
 * Time that passes when it is told to, in the whole milliseconds of Node's timers. While it is installed, every timer,
 * immediate and clock that is asked for anew is of this time, and `Math.random()` of the dice; disposed of, it leaves
 * everything as it was, and what waits in it never runs.
 */
export class Clock implements Disposable {
  /** Milliseconds since it was installed. */
  now = 0;
  /** By the millisecond that they are due. */
  readonly #timers = new Map<number, Timer[]>();
  #immediates: Timer[] = [];
  readonly #restore: Run[] = [];
  readonly #setImmediate = setImmediate;

  /** @param dice - brings numbers of at least 0 and below 1 */
  constructor(dice: () => number) {
    const now = (): number => this.now;
    const clear = (timer?: Timer): void => timer?.clear();
    this.#replace(globalThis, 'setTimeout', (run: Run, delay?: number) => this.#add(run, delay));
    const setInterval = (run: Run, period?: number): Timer => this.#repeat(run, period);
    this.#replace(globalThis, 'setInterval', setInterval);
    this.#replace(nodeTimers, 'setInterval', setInterval);
    this.#replace(globalThis, 'setImmediate', (run: Run) => this.#next(run));
    this.#replace(globalThis, 'clearTimeout', clear);
    this.#replace(globalThis, 'clearInterval', clear);
    this.#replace(nodeTimers, 'clearInterval', clear);
    this.#replace(globalThis, 'clearImmediate', clear);
    this.#replace(timers, 'setImmediate', () => new Promise<void>((resolve) => this.#next(resolve)));
    this.#replace(performance, 'now', now);
    this.#replace(Date, 'now', now);
    this.#replace(Math, 'random', dice);
    syncBuiltinESMExports();
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restore) restore();
    syncBuiltinESMExports();
  }

  /** Lets so much time pass, or less: until `done` says so. */
  async run(milliseconds: number, done: () => boolean = () => false): Promise<void> {
    const end = this.now + milliseconds;
    await this.#settle();
    while (this.now < end && !done()) {
      this.now += 1;
      const due = this.#timers.get(this.now);
      if (!due) continue;
      this.#timers.delete(this.now);
      for (const timer of due) timer.fire();
      await this.#settle();
    }
  }

  /** Runs all that can run without time passing. */
  async #settle(): Promise<void> {
    do {
      const ready = this.#immediates;
      this.#immediates = [];
      for (const immediate of ready) immediate.fire();
      // A turn of the real event loop comes after all promises and ticks that are ready.
      await new Promise<void>((resolve) => this.#setImmediate(resolve));
    } while (this.#immediates.length > 0);
  }

  #next(run: Run): Timer {
    const immediate = new Timer(run);
    this.#immediates.push(immediate);
    return immediate;
  }

  #add(run: Run, delay = 1): Timer {
    const timer = new Timer(run);
    this.#plan(timer, delay);
    return timer;
  }

  #repeat(run: Run, period = 1): Timer {
    const timer = new Timer(() => {
      this.#plan(timer, period);
      run();
    });
    this.#plan(timer, period);
    return timer;
  }

  #plan(timer: Timer, delay: number): void {
    const at = this.now + (delay >= 1 && delay <= MAX_TIMER ? Math.trunc(delay) : 1);
    const due = this.#timers.get(at);
    if (due) due.push(timer);
    else this.#timers.set(at, [timer]);
  }

  #replace(target: object, name: string, value: unknown): void {
    const own = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
    this.#restore.push(() => {
      if (own) Object.defineProperty(target, name, own);
      else Reflect.deleteProperty(target, name);
    });
  }
}
