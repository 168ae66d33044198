/**
 * A timer that is armed again and again, and never keeps the process running. 0 ms is never.
 *
 * After a turn in which the process was busy, timers come before what has arrived meanwhile: that is looked at first.
 */
export class Deadline {
  readonly #milliseconds: number;
  readonly #onPassed: () => void;
  #timer: NodeJS.Timeout | undefined;
  #passing: NodeJS.Immediate | undefined;

  constructor(milliseconds: number, onPassed: () => void) {
    this.#milliseconds = milliseconds;
    this.#onPassed = onPassed;
  }

  /** Starts the time anew. */
  arm(): void {
    clearImmediate(this.#passing);
    if (this.#timer) this.#timer.refresh();
    else if (this.#milliseconds > 0) this.#timer = setTimeout(() => this.#pass(), this.#milliseconds).unref();
  }

  disarm(): void {
    clearImmediate(this.#passing);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #pass(): void {
    // Some runtimes (Bun) come to what a timer sets before they look at their sockets, but not to what that sets in turn.
    this.#passing = setImmediate(() => {
      this.#passing = setImmediate(this.#onPassed);
    });
  }
}
