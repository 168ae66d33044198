/** The server is on this machine, in a process of its own, and where it is told to be. */
export const HOST = process.env['BENCH_HOST'] ?? '127.0.0.1';

export type Message = string | Buffer;

/** Writes (or exchanges) a message so many times; fulfilled when each of them is done. */
export type Repeat = (message: Message, count: number) => Promise<unknown>;

/** Told how much was read (bytes or lines). Returns whether that was enough. */
export type Take = (amount: number) => boolean;

/** One way to do the jobs that are measured. What it has no way to do is left out. */
export interface Contender {
  /** Writes messages without waiting in between, with a promise for each unless its name says otherwise. */
  write?(port: number): Promise<Repeat>;
  /** Writes a message and waits for its echo, again and again. */
  exchange?(port: number): Promise<Repeat>;
  /** Reads bytes until it was enough. */
  read?(port: number, take: Take): Promise<void>;
  /** Reads lines until it was enough. */
  readLines?(port: number, take: Take): Promise<void>;
  /** Opens a connection on which nothing happens, ready for what may come. */
  idle?(port: number): Promise<unknown>;
}

/** A promise for each message, and one for all of them. */
export const allAtOnce =
  (write: (message: Message) => Promise<unknown>): Repeat =>
  (message, count) => {
    const written: Promise<unknown>[] = [];
    for (let index = 0; index < count; index++) written.push(write(message));
    return Promise.all(written);
  };
