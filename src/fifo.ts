/** Shared by all queues that were never used: most of an idle connection's. */
const EMPTY: never[] = [];

/** A queue whose `shift` stays cheap at any length (`Array.prototype.shift` moves the whole of a large array). */
export class Fifo<T> {
  #items: (T | undefined)[] = EMPTY;
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  get last(): T | undefined {
    return this.length === 0 ? undefined : this.#items[this.#items.length - 1];
  }

  push(item: T): void {
    if (this.#items === EMPTY) this.#items = [item];
    else this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    // Most queues hold one item: `pop` keeps the array's memory for the next.
    if (this.#items.length === 1) return this.#items.pop();
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Everything, in order; nothing is left. */
  clear(): T[] {
    const all = this.#items.slice(this.#head) as T[];
    this.#items.length = 0;
    this.#head = 0;
    return all;
  }

  /** Puts items before the first one. */
  unshift(items: readonly T[]): void {
    this.#items = [...items, ...this.clear()];
  }

  /** Keeps only those that are wanted. */
  retain(isWanted: (item: T) => boolean): void {
    this.#items = this.clear().filter(isWanted);
  }

  pop(): T | undefined {
    return this.length === 0 ? undefined : this.#items.pop();
  }
}
