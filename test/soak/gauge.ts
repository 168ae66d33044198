import { getEventListeners } from 'node:events';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Connection } from 'recon';
import { used } from '../memory.js';

/** What is looked at after each round, when everything is at rest. */
export interface Sample {
  /** MiB in use, garbage aside, and MiB that the process has of the system. */
  readonly memory: number;
  readonly resident: number;
  /** Sockets, servers, timers, …: all that keeps the process running. */
  readonly handles: number;
  /** On the connections that live all the time, and on the signal that all share. */
  readonly listeners: number;
  /** Milliseconds by which the event loop was late during the round, 99 times of 100 at most. */
  readonly delay: number;
}

/** How much more a gauge may show at the end than at the beginning. */
interface Bound {
  readonly gauge: keyof Sample;
  readonly unit: string;
  /** The most that may be shown at the end; undefined where it is only told. */
  readonly limit: ((before: number) => number) | undefined;
}

/**
 * The bounds. Memory is not the same after every round; and the event loop is late when the machine is busy with something
 * else, too.
 */
const BOUNDS: readonly Bound[] = [
  { gauge: 'memory', unit: 'MiB', limit: (before) => before * 1.1 + 2 },
  { gauge: 'resident', unit: 'MiB', limit: undefined },
  { gauge: 'handles', unit: '', limit: (before) => before + 5 },
  { gauge: 'listeners', unit: '', limit: (before) => before },
  { gauge: 'delay', unit: 'ms', limit: (before) => before * 3 + 100 },
];

/** Rounds at the beginning that don't count: code is compiled, and buffers grow to their size. */
const WARM_UP = 2;

const MIB = 1024 * 1024;

/** Takes samples of this process. */
export class Gauge {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: 5 });
  readonly #samples: Sample[] = [];

  /** The event loop's delay counts from now. */
  begin(): void {
    this.#delay.reset();
    this.#delay.enable();
  }

  get last(): Sample | undefined {
    return this.#samples.at(-1);
  }

  /** Everything is at rest. */
  end(connections: readonly Connection<any, any>[], signal: AbortSignal): void {
    this.#delay.disable();
    const onConnections = connections.map(listenersOf).reduce((sum, count) => sum + count, 0);
    this.#samples.push({
      memory: used() / MIB,
      resident: process.memoryUsage.rss() / MIB,
      handles: process.getActiveResourcesInfo().length,
      listeners: onConnections + getEventListeners(signal, 'abort').length,
      delay: this.#delay.percentile(99) / 1e6,
    });
  }

  /** Compares the last third of the rounds with the first, by their medians. Of too few rounds nothing can be said. */
  compare(): Comparison[] {
    const samples = this.#samples.slice(WARM_UP);
    if (samples.length < 2) return [];
    const third = Math.max(1, Math.floor(samples.length / 3));
    return BOUNDS.map(({ gauge, unit, limit }) => {
      const values = samples.map((sample) => sample[gauge]);
      const before = median(values.slice(0, third));
      const after = median(values.slice(-third));
      const most = limit?.(before);
      return { gauge, unit, before, after, most, grew: most !== undefined && after > most };
    });
  }
}

export interface Comparison {
  readonly gauge: string;
  readonly unit: string;
  readonly before: number;
  readonly after: number;
  readonly most: number | undefined;
  readonly grew: boolean;
}

const listenersOf = (connection: Connection<any, any>): number =>
  connection.eventNames().reduce((sum, name) => sum + connection.listenerCount(name), 0);

/** Of one value or more. */
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
