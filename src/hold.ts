import { AsyncResource } from 'node:async_hooks';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
// Imported, lest a test's fake timers be asked to clear a real one.
import { clearInterval, setInterval } from 'node:timers';
import { MAX_TIMER } from './deadline.js';

/** Milliseconds that a destroyed stream may take to be closed, at most: one of somebody else's making may never be. */
const CLOSE_LIMIT = 5_000;
/** Milliseconds that its handle may take: a turn of the event loop, but a stand-in for a socket may have none. */
const HANDLE_LIMIT = 100;

/** Connections that keep the process running, if only by waiting to retry: one timer does it for all of them. */
let holding = 0;
let timer: NodeJS.Timeout | undefined;

/** Bound outside any `AsyncLocalStorage`: the timer would keep the first connection's store alive. */
const startTimer = AsyncResource.bind((): NodeJS.Timeout => setInterval(() => {}, MAX_TIMER));

function hold(): void {
  holding += 1;
  timer ??= startTimer();
}

function letGo(): void {
  holding -= 1;
  if (holding > 0) return;
  clearInterval(timer);
  timer = undefined;
}

/** Fulfilled when the stream emits `close`, or has had `milliseconds` for that. */
function closing(stream: Duplex, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const limit = setTimeout(resolve, milliseconds).unref();
    stream.once('close', () => {
      clearTimeout(limit);
      resolve();
    });
  });
}

/** A stream, which may have a handle of its own to keep the process running. */
type Holding = Duplex & { readonly connecting?: boolean; ref?(): unknown; unref?(): unknown };

/**
 * What keeps the process running for a connection: a part in the timer, so that waiting to retry counts too, and the
 * socket of the moment. Every other timer of the library is unref'd.
 */
export class Hold {
  #socket: Holding | undefined;
  #refed = false;
  #released = false;

  constructor() {
    this.ref();
  }

  ref(): void {
    if (this.#refed || this.#released) return;
    this.#refed = true;
    hold();
    this.#socket?.ref?.();
  }

  unref(): void {
    if (!this.#refed) return;
    this.#refed = false;
    letGo();
    this.#socket?.unref?.();
  }

  /** A socket is about to be used; it replaces the one before. */
  track(socket: Duplex): void {
    this.#socket = socket.closed ? undefined : (socket as Holding);
    this.#follow();
    if (this.#socket?.connecting) this.#followAttempts(socket);
    // Not every stream can be asked later whether it is closed.
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
  }

  #follow(): void {
    if (!this.#refed) this.#socket?.unref?.();
  }

  /** At each of several addresses Node makes a new handle, which is ref'd. */
  #followAttempts(socket: Duplex): void {
    const follow = (): void => this.#follow();
    socket.on('connectionAttempt', follow).once('ready', () => socket.off('connectionAttempt', follow));
  }

  /** Fulfilled when the last socket is closed, or has had `milliseconds` for that; then nothing is held any more. */
  async release(milliseconds: number): Promise<void> {
    const socket = this.#socket;
    if (socket && !socket.closed) await closing(socket, Math.min(milliseconds, CLOSE_LIMIT));
    this.unref();
    this.#released = true;
  }

  /** Fulfilled when the handle of a socket that is closed is gone, too: for a `net.Socket`, that is a turn later. */
  async gone(): Promise<void> {
    const socket = this.#socket;
    if (socket instanceof Socket && socket.closed) await closing(socket, HANDLE_LIMIT);
  }
}
