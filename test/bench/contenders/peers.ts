/** What people use today, as its README says to. Their types are only as wide as what is used here. */
import { type EventEmitter, once } from 'node:events';
import net from 'node:net';
import { allAtOnce, type Contender, HOST, type Message } from '../contender.js';
import { onSocket, type SocketLike } from './socket.js';

/** In this folder, `recon` is the ancestor; by a variable, since they needn't be installed where this is type-checked. */
const load = async <T>(name: string): Promise<T> => (await import(name)).default as T;

type Emitting = EventEmitter & SocketLike;

export async function ancestor(): Promise<Contender> {
  const recon = await load<(port: number, host: string) => Emitting>('recon');
  const dial = async (port: number): Promise<Emitting> => {
    const conn = recon(port, HOST);
    await once(conn, 'connect');
    return conn;
  };
  return {
    ...onSocket(dial),
    async write(port) {
      const conn = await dial(port);
      return async (message, count) => {
        let hasRoom: unknown = true;
        for (let index = 0; index < count; index++) hasRoom = conn.write(message);
        if (!hasRoom) await once(conn, 'drain');
      };
    },
  };
}

export async function reconnectCore(): Promise<Contender> {
  interface Reconnecting extends EventEmitter {
    connect(port: number, host: string): void;
  }
  type Create = (port: number, host: string) => net.Socket;
  type Inject = (create: Create) => (options: object, onLink: (socket: net.Socket) => void) => Reconnecting;
  const reconnect = (await load<Inject>('reconnect-core'))((port, host) => net.connect(port, host));
  return onSocket(
    (port) =>
      new Promise((resolve, reject) => {
        reconnect({}, resolve).on('error', reject).connect(port, HOST);
      }),
  );
}

export async function reconnectingSocket(): Promise<Contender> {
  interface Handlers {
    readonly open: () => void;
    readonly close: () => void;
    readonly error: (error: Error) => void;
  }
  interface Options {
    create(handlers: Handlers): net.Socket;
    destroy(socket: net.Socket): unknown;
    onopen(socket: net.Socket): void;
    onclose(): void;
  }
  const ReconnectingSocket = await load<new (options: Options) => { start(): void }>('reconnecting-socket');
  return onSocket(
    (port) =>
      new Promise((resolve) => {
        const create = ({ open, close, error }: Handlers): net.Socket =>
          new net.Socket().once('close', close).once('error', error).once('connect', open).connect(port, HOST);
        const destroy = (socket: net.Socket): unknown => socket.destroy();
        new ReconnectingSocket({ create, destroy, onopen: resolve, onclose: () => {} }).start();
      }),
  );
}

export async function netSocket(): Promise<Contender> {
  const { connect } = await load<{ connect(port: number, host: string): Emitting }>('net-socket');
  return onSocket(async (port) => {
    const socket = connect(port, HOST);
    await once(socket, 'connect');
    return socket;
  });
}

export async function promiseSocket(): Promise<Contender> {
  interface Promising extends AsyncIterable<Buffer> {
    connect(port: number, host: string): Promise<void>;
    write(message: Message): Promise<number>;
    read(): Promise<Buffer>;
  }
  const PromiseSocket = await load<new () => Promising>('promise-socket');
  const dial = async (port: number): Promise<Promising> => {
    const socket = new PromiseSocket();
    await socket.connect(port, HOST);
    return socket;
  };
  return {
    async write(port) {
      const socket = await dial(port);
      return allAtOnce((message) => socket.write(message));
    },
    async exchange(port) {
      const socket = await dial(port);
      return async (message, count) => {
        for (let index = 0; index < count; index++) {
          await socket.write(message);
          for (let left = message.length; left > 0; ) left -= (await socket.read()).length;
        }
      };
    },
    async read(port, take) {
      for await (const chunk of await dial(port)) if (take(chunk.length)) break;
    },
    async idle(port) {
      const socket = await dial(port);
      void socket.read();
      return socket;
    },
  };
}
