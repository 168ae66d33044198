import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { allAtOnce, type Contender, HOST } from '../contender.js';
import { onSocket, written } from './socket.js';

/** As it comes, Nagle's algorithm and all: every contender has the defaults that its users get. */
async function dial(port: number, options: net.SocketConstructorOpts & { noDelay?: boolean } = {}): Promise<net.Socket> {
  const socket = net.connect({ ...options, port, host: HOST });
  await once(socket, 'connect');
  return socket;
}

const { write, idle, exchange, read } = onSocket(dial);

/** With promises and `for await`, in a plain loop. */
export const raw: Contender = {
  write,
  idle,

  async exchange(port) {
    const socket = await dial(port);
    const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    return async (message, count) => {
      for (let index = 0; index < count; index++) {
        await written(socket, message);
        for (let left = message.length; left > 0; ) left -= (await chunks.next()).value.length;
      }
    };
  },

  async read(port, take) {
    for await (const chunk of await dial(port)) if (take((chunk as Buffer).length)) break;
  },
};

/** The plain loop of writes, each in a packet of its own, as our connections have it. */
export const noDelay: Contender = onSocket((port) => dial(port, { noDelay: true }));

/** Without promises: a callback for each write, and the `data` event. */
export const callbacks: Contender = {
  exchange,
  read,

  async write(port) {
    const socket = await dial(port);
    return (message, count) =>
      new Promise<void>((resolve, reject) => {
        let left = count;
        const onWritten = (error?: Error | null): void => {
          if (error) reject(error);
          else if (--left === 0) resolve();
        };
        for (let index = 0; index < count; index++) socket.write(message, onWritten);
      });
  },
};

/** What one does by hand when it must be fast: all the writes of a window in one go, with a promise for each. */
export const corked: Contender = {
  async write(port) {
    const socket = await dial(port);
    const writeAll = allAtOnce((message) => written(socket, message));
    return (message, count) => {
      socket.cork();
      const all = writeAll(message, count);
      socket.uncork();
      return all;
    };
  },
};

export const readline: Contender = {
  async readLines(port, take) {
    for await (const _ of createInterface({ input: await dial(port), crlfDelay: Infinity })) if (take(1)) break;
  },
};
