import type * as Recon from 'recon';
import { allAtOnce, type Contender, HOST } from '../contender.js';

// What is shipped, not what is in `src/`; by address, because in this folder the name is the ancestor's.
const { connect, lines } = (await import(new URL('../../../../dist/index.js', import.meta.url).href)) as typeof Recon;

export const ours: Contender = {
  async write(port) {
    const conn = await connect(port, HOST);
    return allAtOnce((message) => conn.write(message));
  },

  async exchange(port) {
    const conn = await connect(port, HOST);
    const chunks = conn[Symbol.asyncIterator]();
    return async (message, count) => {
      for (let index = 0; index < count; index++) {
        await conn.write(message);
        for (let left = message.length; left > 0; ) left -= (await chunks.next()).value!.length;
      }
    };
  },

  async read(port, take) {
    for await (const chunk of await connect(port, HOST)) if (take(chunk.length)) break;
  },

  async readLines(port, take) {
    for await (const _ of await connect(port, HOST, { codec: lines() })) if (take(1)) break;
  },

  async idle(port) {
    const conn = await connect(port, HOST);
    void conn[Symbol.asyncIterator]().next();
    return conn;
  },
};

/** Reads all that is ready as one array. */
export const batches: Contender = {
  async readLines(port, take) {
    const conn = await connect(port, HOST, { codec: lines() });
    for await (const batch of conn.batches()) if (take(batch.length)) break;
  },
};
