import { setMaxListeners } from 'node:events';

/** Keeps Node from warning of a leak: one signal may well end many connections, or take back many writes. */
export function allowListeners(signal: AbortSignal): void {
  try {
    setMaxListeners(0, signal);
  } catch {
    // A polyfilled signal doesn't warn.
  }
}

/** A promise and the means to settle it (`Promise.withResolvers`, which Node 20 lacks). */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: Deferred<T>['resolve'];
  let reject!: Deferred<T>['reject'];
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const ignore = (): void => {};

/**
 * Marks a promise as heard. Whoever awaits it still gets its rejection; whoever doesn't is not punished with a crash
 * of the process for what a peer did.
 */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

/** A promise that has been rejected, and heard. */
export const rejected = (reason: unknown): Promise<never> => handled(Promise.reject(reason));

/**
 * Awaits somebody else's work for as long as `signal` allows, then rejects with its reason, whether or not the work
 * knows of the signal. What the work brings too late is handed to `late`, and a late failure is ignored.
 */
export function within<T>(signal: AbortSignal, work: T | PromiseLike<T>, late?: (value: T) => void): Promise<T> {
  const promise = Promise.resolve(work);
  return new Promise((resolve, reject) => {
    let inTime = true;
    const abort = (): void => {
      inTime = false;
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
    promise
      .finally(() => signal.removeEventListener('abort', abort))
      .then((value) => (inTime ? resolve(value) : late?.(value)), reject);
  });
}
