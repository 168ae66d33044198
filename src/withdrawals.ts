import type { Batch } from './batch.js';
import { allowListeners } from './promises.js';

/** Which batches a signal can take back, and its listener. */
interface Withdrawal {
  readonly batches: Set<Batch>;
  readonly onAbort: () => void;
}

/** The writes that can still be taken back: one listener for each signal, however many writes share it. */
export class Withdrawals {
  readonly #bySignal = new Map<AbortSignal, Withdrawal>();
  readonly #onAbort: (batches: readonly Batch[], reason: unknown) => void;

  /** @param onAbort - told of the batches to be taken back, each of which it must forbid */
  constructor(onAbort: (batches: readonly Batch[], reason: unknown) => void) {
    this.#onAbort = onAbort;
  }

  allow(batch: Batch, signal: AbortSignal): void {
    let withdrawal = this.#bySignal.get(signal);
    if (withdrawal === undefined) {
      const batches = new Set<Batch>();
      withdrawal = { batches, onAbort: () => this.#onAbort([...batches], signal.reason) };
      this.#bySignal.set(signal, withdrawal);
      allowListeners(signal);
      signal.addEventListener('abort', withdrawal.onAbort);
    }
    withdrawal.batches.add(batch);
  }

  /** The batch was begun, or is settled: too late to take it back. */
  forbid(batch: Batch): void {
    const { signal } = batch;
    const withdrawal = signal && this.#bySignal.get(signal);
    if (!signal || !withdrawal?.batches.delete(batch) || withdrawal.batches.size > 0) return;
    signal.removeEventListener('abort', withdrawal.onAbort);
    this.#bySignal.delete(signal);
  }
}
