import * as assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, ReconError } from 'recon';
import { echo, HOST, MiB, pingPong, quick, read, received, rejection, Server } from '../server.mjs';

export const checks = {
  async 'dial, write, read, end'() {
    const server = await Server.start({ onSocket: echo });
    const conn = await connect(server.port, HOST);
    assert.equal(conn.readyState, 'open');
    await pingPong(conn);
    await conn.end();
    await conn.closed;
    assert.equal(conn.readyState, 'closed');
    await server.stop();
  },

  async 'localhost, on 127.0.0.1 alone'() {
    const server = await Server.start({ onSocket: echo });
    const conn = await connect(server.port);
    await pingPong(conn);
    await conn.end();
    await server.stop();
  },

  async 'a Unix socket'() {
    const path = join(tmpdir(), `recon-${process.pid}.sock`);
    const server = await Server.start({ path, onSocket: echo });
    const conn = await connect({ path });
    await pingPong(conn);
    await conn.end();
    await server.stop();
  },

  async 'dial: a socket of one’s own'() {
    const server = await Server.start({ onSocket: echo });
    const conn = await connect({ ...quick, dial: () => net.connect(server.port, HOST) });
    await pingPong(conn);
    await conn.end();
    await server.stop();
  },

  async 'events, in order'() {
    const server = await Server.start();
    const conn = await connect(server.port, quick);
    const told = [];
    for (const name of ['connect', 'drop', 'reconnect', 'drain', 'close']) conn.on(name, () => told.push(name));
    const dropped = once(conn, 'drop');
    (await server.next()).end();
    await dropped;
    await conn.write('queued');
    await received(await server.next(), 6);
    await conn.end();
    assert.deepEqual(told, ['connect', 'drop', 'reconnect', 'drain', 'close']);
    await server.stop();
  },

  async 'diagnostics_channel'() {
    const told = [];
    for (const name of ['connect', 'close']) {
      channel(`recon:${name}`).subscribe(({ connection, link }) => told.push([name, connection, link?.number]));
    }
    const server = await Server.start();
    const conn = await connect(server.port, quick);
    await conn.end();
    assert.deepEqual(told.map(([name, , number]) => [name, number]), [['connect', 1], ['close', undefined]]);
    assert.equal(told[0][1], conn);
    await server.stop();
  },

  async 'reconnect()'() {
    const server = await Server.start({ onSocket: echo });
    const conn = await connect(server.port, quick);
    assert.equal((await conn.reconnect()).number, 2);
    await pingPong(conn);
    await conn.end();
    await server.stop();
  },

  async 'gives up, and says why'() {
    const server = await Server.start();
    await server.stop();
    for (const host of [HOST, 'localhost']) {
      const error = await rejection(connect(server.port, { host, retry: { retries: 1, minTimeout: 1 } }));
      assert.equal(error.code, 'ECONNREFUSED');
      assert.match(error.message, /ECONNREFUSED/);
    }
  },

  async 'end(): the peer answers'() {
    const onSocket = (socket) => socket.on('end', () => setTimeout(() => socket.end('last words'), 50)).resume();
    const server = await Server.start({ halfOpen: true, onSocket });
    const conn = await connect(server.port, quick);
    const heard = read(conn);
    await conn.end('first words');
    assert.equal((await heard).toString(), 'last words');
    await server.stop();
  },

  async 'end(): the peer never says goodbye'() {
    const server = await Server.start({ halfOpen: true });
    const conn = await connect(server.port, { ...quick, closeTimeout: 100 });
    await conn.end('hello');
    await conn.closed;
    await server.stop();
  },

  async 'destroy(error)'() {
    const server = await Server.start({ onSocket: (socket) => socket.pause() });
    const conn = await connect(server.port, quick);
    const written = rejection(conn.write(Buffer.alloc(10 * MiB)));
    const reading = rejection(read(conn));
    const gone = new Error('gone');
    conn.destroy(gone);
    const error = await written;
    assert.ok(error instanceof ReconError);
    assert.equal(error.code, 'ERR_RECON_CLOSED');
    assert.equal(error.cause, gone);
    assert.equal(await reading, gone);
    assert.equal(await rejection(conn.closed), gone);
    await server.stop();
  },

  async 'abort, while up and while it waits'() {
    const server = await Server.start();
    const controller = new AbortController();
    const conn = await connect(server.port, { ...quick, signal: controller.signal });
    const enough = new Error('enough');
    controller.abort(enough);
    assert.equal(await rejection(conn.closed), enough);
    await server.stop();
    const signal = AbortSignal.timeout(100);
    const error = await rejection(connect(server.port, { host: HOST, retry: { minTimeout: 60_000 }, signal }));
    assert.equal(error, signal.reason);
  },

  async 'rejections that nobody hears'() {
    const server = await Server.start();
    const conn = await connect(server.port, { ...quick, maxBufferedAmount: 8 });
    void conn.write(42);
    void conn.write('far too much');
    void conn.reconnect();
    conn.destroy(new Error('gone'));
    void conn.write('late');
    await rejection(conn.closed);
    await server.stop();
  },

  async 'unref() lets the process exit'() {
    const server = net.createServer((socket) => socket.unref()).listen(0, HOST).unref();
    await once(server, 'listening');
    const conn = await connect(server.address().port, quick);
    conn.unref();
  },

  async 'require()'() {
    assert.equal(createRequire(import.meta.url)('recon').connect, connect);
  },
};
