import type { Connection, Link } from 'recon';
import type { Generator } from '../generator.js';

/** Who is told of what is read. */
export interface Told {
  /** A message, and its link where that is known; what it returns is waited for. */
  take(message: unknown, link?: Link<any, any>): Promise<unknown> | undefined;
  /** The rest of this link will not be read. */
  leave(link: Link<any, any>): void;
}

/** A way to read a connection to its end. */
export type Read = (conn: Connection<any, any>, told: Told, random: Generator) => Promise<void>;

/** Message by message; now and then it leaves, and comes again, but not at the end, when what nobody reads is dropped. */
const readMessages: Read = async (conn, told, random) => {
  for (let over = false; !over; ) {
    const left = random.between(1, 3_000);
    let count = 0;
    over = true;
    for await (const message of conn) {
      await told.take(message);
      over = ++count < left || conn.readyState === 'closing';
      if (!over) break;
    }
  }
};

const readBatches: Read = async (conn, told) => {
  for await (const batch of conn.batches()) for (const message of batch) await told.take(message);
};

/** Link by link, and seldom moving on before a link's end. */
export const readLinks: Read = async (conn, told, random) => {
  for await (const link of conn.links()) {
    let left = random.chance(0.1) ? random.between(1, 300) : Infinity;
    for await (const message of link) {
      await told.take(message, link);
      if (--left > 0) continue;
      told.leave(link);
      break;
    }
  }
};

export const READERS: readonly Read[] = [readMessages, readBatches, readLinks];
