/** A timer that is armed again and again, and never keeps the process running. 0 ms is never. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #onPassed: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(milliseconds: number, onPassed: () => void) {
    this.#milliseconds = milliseconds;
    this.#onPassed = onPassed;
  }

  /** Starts the time anew. */
  arm(): void {
    if (this.#timer) this.#timer.refresh();
    else if (this.#milliseconds > 0) this.#timer = setTimeout(this.#onPassed, this.#milliseconds).unref();
  }

  disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
