import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { Peer } from './peer.js';
import { Proxy } from './proxy.js';

/** A server behind something that can make it go silent without closing, and talk again. */
export interface Silent extends AsyncDisposable {
  readonly port: number;
  hush(): void;
  speak(): void;
}

/** Where nobody answers a dial: a server that accepts nothing more, with a queue that is full. */
export class BlackHole implements AsyncDisposable {
  readonly host: string;
  readonly #server: ServerProcess;
  readonly #queue: net.Socket[];

  private constructor(host: string, server: ServerProcess, queue: net.Socket[]) {
    this.host = host;
    this.#server = server;
    this.#queue = queue;
  }

  static async start(host: string, port: number): Promise<BlackHole> {
    const server = await ServerProcess.start('', { host, port, backlog: 1 });
    server.hush();
    const queue = Array.from({ length: 8 }, () => net.connect(port, host).on('error', () => {}));
    await once(queue[0]!, 'connect');
    return new BlackHole(host, server, queue);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#queue) socket.destroy();
    await this.#server[Symbol.asyncDispose]();
  }
}

/** A server in a process of its own, which can be stopped (SIGSTOP), so that its kernel answers and nobody else. */
export class ServerProcess implements Silent {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** @param onSocket - the body of a function of `socket` */
  static async start(onSocket: string, place: net.ListenOptions = { port: 0, host: '127.0.0.1' }): Promise<ServerProcess> {
    const source = `
      const server = require('node:net').createServer((socket) => { socket.on('error', () => {}); ${onSocket} });
      server.listen(${JSON.stringify(place)}, () => console.log(server.address().port));
      process.stdin.on('end', () => process.exit()).resume();`;
    const child = spawn(process.execPath, ['-e', source], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return new ServerProcess(child, Number(line));
  }

  hush(): void {
    this.#child.kill('SIGSTOP');
  }

  speak(): void {
    this.#child.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

/** Greets, and sends back what is small: what is big is only read. */
export const MANNERS = `socket.write('hello'); socket.on('data', (chunk) => { if (chunk.length < 1024) socket.write(chunk); });`;

/** A server of {@link MANNERS} behind a proxy that can stop moving bytes. */
export async function proxied(): Promise<Silent> {
  const peer = await Peer.start({
    onLink: ({ socket }) => {
      socket.removeAllListeners('data');
      socket.write('hello');
      socket.on('data', (chunk) => {
        if (chunk.length < 1024) socket.write(chunk);
      });
    },
  });
  const proxy = await Proxy.start(peer.port);
  return {
    port: proxy.port,
    hush: () => proxy.stall(),
    speak: () => proxy.flow(),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await peer.stop();
    },
  };
}
