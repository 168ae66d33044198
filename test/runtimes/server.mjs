// What the checks share. Plain JavaScript, as every runtime runs it, and nothing but 'recon' and modules of node:.
import * as assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

export const HOST = '127.0.0.1';
export const MiB = 1024 * 1024;

/** A file that run.ts has put here: the authority `ca`, and a server's `cert` and `key`. */
export const pem = (name) => readFileSync(new URL(`${name}.pem`, import.meta.url), 'utf8');

/** Options for a server on loopback: retries without the waits that suit a network. */
export const quick = { host: HOST, minUptime: 0, retry: { minTimeout: 5, maxTimeout: 20 } };

const ignore = () => {};

/** Sends back what it gets. */
export const echo = (socket) => void socket.pipe(socket);

/** A server on loopback, which can be stopped and started again on the same port. */
export class Server {
  port = 0;
  #options;
  #server;
  /** Those that TLS runs over, too. */
  #sockets = new Set();
  #accepted = [];
  #waiting = [];

  /** Options: `onSocket`, `secure` (TLS), `path` (a Unix socket's, instead of a port), `halfOpen`. */
  static async start(options = {}) {
    const server = new Server();
    server.#options = options;
    await server.start();
    return server;
  }

  async start() {
    const { secure, path, halfOpen = false } = this.#options;
    this.#server = secure
      ? tls.createServer({ cert: pem('cert'), key: pem('key') }, (socket) => this.#accept(socket))
      : net.createServer({ allowHalfOpen: halfOpen }, (socket) => this.#accept(socket));
    this.#server.on('connection', (socket) => this.#sockets.add(socket.on('error', ignore)));
    this.#server.on('tlsClientError', ignore);
    this.#server.listen(path === undefined ? { port: this.port, host: HOST } : { path });
    await once(this.#server, 'listening');
    if (path === undefined) this.port = this.#server.address().port;
  }

  /** The next socket, in the order in which they are accepted. */
  async next() {
    return this.#accepted.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  async stop() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    await closed;
  }

  /** RST to everybody. */
  reset() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  #accept(socket) {
    socket.on('error', ignore);
    this.#options.onSocket?.(socket);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(socket);
    else this.#accepted.push(socket);
  }
}

/** The first bytes that a socket of the server gets, so many of them. */
export function received(socket, length) {
  const chunks = [];
  let size = 0;
  return new Promise((resolve) => {
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= length) resolve(Buffer.concat(chunks));
    });
    socket.resume();
  });
}

/** Reads a connection or a link until there are so many bytes, or to its end. */
export async function read(source, length = Infinity) {
  const chunks = [];
  let size = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= length) break;
  }
  return Buffer.concat(chunks);
}

/** Says something, and hears the same. */
export async function pingPong(conn) {
  await conn.write('ping');
  assert.equal((await read(conn, 4)).toString(), 'ping');
}

/** Waits until something holds that no event tells of. */
export async function eventually(holds) {
  while (!holds()) await sleep(5);
}

/** Waits until a number has stayed what it is for a while. */
export async function settled(number) {
  for (let before = -1; before !== number(); await sleep(100)) before = number();
}

/** The error that a promise rejects with. */
export const rejection = (promise) =>
  promise.then(
    () => assert.fail('expected a rejection'),
    (error) => error,
  );

/** Compares without printing megabytes. */
export const sameBytes = (actual, expected) => assert.equal(digest(actual), digest(expected));

const digest = (bytes) => `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`;
