import { setImmediate as turn } from 'node:timers/promises';
import { debuglog, inspect } from 'node:util';
import { isError, ReconError } from './errors.js';
import { handled, rejected } from './promises.js';

const debug = debuglog('recon');

/** Of so many refusals, one is told in the next turn of the event loop. */
const YIELD_EVERY = 32;

/**
 * Refuses writes. A loop of awaited writes that are refused must let the event loop turn, too, or nothing would ever make
 * room.
 */
export class Refusals {
  /** Called when a full buffer was reported a turn late. */
  readonly #onLate: (() => void) | undefined;
  #count = 0;

  constructor(onLate?: () => void) {
    this.#onLate = onLate;
  }

  refuse(error: unknown): Promise<never> {
    // Perhaps nobody awaits it.
    if (debug.enabled) debug('write refused: %s', isError(error) ? error.message : inspect(error));
    this.#count += 1;
    if (this.#count % YIELD_EVERY !== 0) return rejected(error);
    const told = turn().then(() => {
      if (error instanceof ReconError && error.code === 'ERR_RECON_BUFFER_FULL') this.#onLate?.();
      throw error;
    });
    return handled(told);
  }
}
