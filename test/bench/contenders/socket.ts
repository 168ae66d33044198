import { allAtOnce, type Contender, type Message, type Repeat, type Take } from '../contender.js';

/** What `net.Socket` is used for here, and what wraps it has, too. */
export interface SocketLike {
  write(message: Message, onWritten?: (error?: Error | null) => void): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** The callback of a write, made a promise. */
export const written = (socket: SocketLike, message: Message): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.write(message, (error) => (error ? reject(error) : resolve()));
  });

/** Each write in an exchange follows from the `data` event that completes the one before: no promise but for the whole. */
function exchangeOn(socket: SocketLike): Repeat {
  let unread = 0;
  let onAnswer = (): void => {};
  socket.on('data', (chunk) => {
    unread -= chunk.length;
    if (unread === 0) onAnswer();
  });
  return (message, count) =>
    new Promise<void>((resolve, reject) => {
      let left = count;
      const onWritten = (error?: Error | null): void => {
        if (error) reject(error);
      };
      const ask = (): void => {
        unread = message.length;
        socket.write(message, onWritten);
      };
      onAnswer = () => (--left === 0 ? resolve() : ask());
      ask();
    });
}

const readFrom = (socket: SocketLike, take: Take): Promise<void> =>
  new Promise((resolve) => {
    socket.on('data', (chunk) => {
      if (take(chunk.length)) resolve();
    });
  });

/** Everything that is done with the events and callbacks of a socket. */
export const onSocket = (dial: (port: number) => Promise<SocketLike>) =>
  ({
    async write(port) {
      const socket = await dial(port);
      return allAtOnce((message) => written(socket, message));
    },
    exchange: async (port) => exchangeOn(await dial(port)),
    read: async (port, take) => readFrom(await dial(port), take),
    async idle(port) {
      const socket = await dial(port);
      socket.on('data', () => {});
      socket.on('error', () => {});
      return socket;
    },
  }) satisfies Contender;
