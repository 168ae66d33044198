import type { Duplex } from 'node:stream';

/** The longest a Node timer can be. */
const LONG = 2 ** 31 - 1;

/** Milliseconds that a destroyed stream may take to be closed, at most: one of somebody else's making may never be. */
const PATIENCE = 5_000;

/** A stream, which may have a handle of its own to keep the process running. */
type Holding = Duplex & { ref?(): unknown; unref?(): unknown };

/**
 * What keeps the process running for a connection: a timer of its own, so that waiting to retry counts too, and the
 * socket of the moment. Every other timer of the library is unref'd.
 */
export class Hold {
  readonly #timer = setInterval(() => {}, LONG);
  #socket: Holding | undefined;
  #refed = true;

  ref(): void {
    this.#refed = true;
    this.#timer.ref();
    this.#socket?.ref?.();
  }

  unref(): void {
    this.#refed = false;
    this.#timer.unref();
    this.#socket?.unref?.();
  }

  /** A socket is about to be used; it replaces the one before. */
  track(socket: Duplex): void {
    this.#socket = socket as Holding;
    const follow = (): void => {
      if (!this.#refed) this.#socket?.unref?.();
    };
    follow();
    // At each of several addresses Node makes a new handle, which is ref'd.
    socket.on('connectionAttempt', follow);
  }

  /** Fulfilled when the last socket is closed, or has had `milliseconds` for that; then nothing is held any more. */
  async release(milliseconds: number): Promise<void> {
    const socket = this.#socket;
    if (socket && !socket.closed) {
      await new Promise<void>((resolve) => {
        const patience = setTimeout(resolve, Math.min(milliseconds, PATIENCE)).unref();
        socket.once('close', () => {
          clearTimeout(patience);
          resolve();
        });
      });
    }
    clearInterval(this.#timer);
    this.#socket = undefined;
  }
}
