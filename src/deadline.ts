/** The longest a Node timer can be, in milliseconds: past it, it fires at once. */
export const MAX_TIMER = 2 ** 31 - 1;

/**
 * A timer that is armed again and again, and never keeps the process running. 0 ms is never.
 *
 * After a turn in which the process was busy, Node runs timers before it reads its sockets. So a deadline that passes waits
 * until they have been read, and lapses if that arms it anew.
 */
export class Deadline {
  readonly #milliseconds: number;
  readonly #onPassed: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** Set from the timer until the sockets have been read. `arm()` and `disarm()` clear it, which cancels. */
  #passing: object | undefined;

  constructor(milliseconds: number, onPassed: () => void) {
    this.#milliseconds = milliseconds;
    this.#onPassed = onPassed;
  }

  /** Starts the time anew. */
  arm(): void {
    this.#passing = undefined;
    if (this.#timer) this.#timer.refresh();
    else if (this.#milliseconds > 0) this.#timer = setTimeout(() => this.#pass(), this.#milliseconds).unref();
  }

  disarm(): void {
    this.#passing = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #pass(): void {
    const passing = {};
    this.#passing = passing;
    const pass = (): void => {
      if (this.#passing === passing) this.#onPassed();
    };
    // Node looks at its sockets before it comes to the immediate; Bun and Deno, before the timer that the immediate sets.
    setImmediate(() => setTimeout(pass).unref());
  }
}
