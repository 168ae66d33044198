/** Tells on stderr what goes on: on a terminal in one line that changes, elsewhere in a line for each workload. */
export class Progress {
  readonly #total: number;
  readonly #inPlace = process.stderr.isTTY;
  #done = 0;

  /** @param total - turns in all */
  constructor(total: number) {
    this.#total = total;
  }

  workload(name: string): void {
    if (!this.#inPlace) process.stderr.write(`${name}: round`);
  }

  round(number: number): void {
    if (!this.#inPlace) process.stderr.write(` ${number}`);
  }

  turn(text: string): void {
    this.#done += 1;
    const percent = Math.round((this.#done / this.#total) * 100);
    if (this.#inPlace) process.stderr.write(`\r\x1b[K${percent} %  ${text}`);
  }

  /** Makes way for the table. */
  clear(): void {
    process.stderr.write(this.#inPlace ? '\r\x1b[K' : '\n');
  }
}
