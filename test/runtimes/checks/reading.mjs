import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, lines } from 'recon';
import { echo, eventually, HOST, MiB, quick, read, rejection, sameBytes, Server, settled } from '../server.mjs';

export const checks = {
  async 'read across a restart'() {
    const server = await Server.start({ onSocket: (socket) => socket.write('hello') });
    const conn = await connect(server.port, quick);
    const reader = conn[Symbol.asyncIterator]();
    assert.equal((await reader.next()).value.toString(), 'hello');
    const second = reader.next();
    const retried = once(conn, 'retry');
    await server.stop();
    await retried;
    await server.start();
    assert.equal((await second).value.toString(), 'hello');
    await conn.end();
    await server.stop();
  },

  async 'lines()'() {
    const server = await Server.start();
    const conn = await connect(server.port, { ...quick, codec: lines() });
    const first = await server.next();
    const reader = conn[Symbol.asyncIterator]();
    first.write('one\r\ntw');
    assert.equal((await reader.next()).value, 'one');
    first.write('o\nhalf a li');
    assert.equal((await reader.next()).value, 'two');
    await eventually(() => conn.stats.bytesRead === 18);
    const dropped = once(conn, 'drop');
    first.end();
    assert.equal((await dropped)[0].discarded, 9);
    const second = await server.next();
    second.write('ne\n');
    assert.equal((await reader.next()).value, 'ne');
    await conn.end('bye');
    await server.stop();
  },

  async 'break, and a later loop goes on'() {
    const server = await Server.start();
    const conn = await connect(server.port, { ...quick, codec: lines() });
    (await server.next()).write('one\ntwo\nthree\n');
    for await (const line of conn) {
      assert.equal(line, 'one');
      break;
    }
    const seen = [];
    for await (const line of conn) if (seen.push(line) === 2) break;
    assert.deepEqual(seen, ['two', 'three']);
    void conn[Symbol.asyncIterator]().next();
    assert.equal((await rejection(conn[Symbol.asyncIterator]().next())).code, 'ERR_RECON_READING');
    await conn.end();
    await server.stop();
  },

  async 'links(), each with its own bytes'() {
    let count = 0;
    const server = await Server.start({ onSocket: (socket) => socket.end(`of ${++count}`) });
    const conn = await connect(server.port, quick);
    for await (const link of conn.links()) {
      assert.equal((await read(link)).toString(), `of ${link.number}`);
      assert.equal(link.reason, undefined);
      if (link.number === 3) break;
    }
    conn.destroy();
    await server.stop();
  },

  async 'onLink talks first'() {
    const server = await Server.start({ onSocket: echo });
    const onLink = async (link) => {
      await link.write('who is there');
      assert.equal(await link.read(), 'who is there');
    };
    const conn = await connect(server.port, onLink, { ...quick, codec: lines() });
    await conn.write('me');
    assert.equal((await conn[Symbol.asyncIterator]().next()).value, 'me');
    await conn.end();
    await server.stop();
  },

  async 'bytes received before a reset'() {
    const server = await Server.start();
    const conn = await connect(server.port, quick);
    const sent = randomBytes(300_000);
    (await server.next()).write(sent);
    await eventually(() => conn.stats.bytesRead === sent.length);
    const dropped = once(conn, 'drop');
    server.reset();
    assert.equal((await dropped)[0].reason.code, 'ECONNRESET');
    sameBytes(await read(conn, sent.length), sent);
    await conn.end();
    await server.stop();
  },

  async 'a reset behind a slow reader'() {
    const server = await Server.start();
    const conn = await connect(server.port, HOST, { highWaterMark: 1, retry: { retries: 0 } });
    const sent = randomBytes(100_000);
    (await server.next()).write(sent);
    // By now the system has all of it, and the socket is paused.
    await settled(() => conn.stats.bytesRead);
    server.reset();
    await sleep(50);
    sameBytes(await read(conn, sent.length), sent);
    conn.destroy();
    await server.stop();
  },

  async 'a slow reader slows the peer'() {
    const sent = randomBytes(20 * MiB);
    const server = await Server.start({ onSocket: (socket) => socket.end(sent) });
    const highWaterMark = 100_000;
    const conn = await connect(server.port, { ...quick, highWaterMark });
    await settled(() => conn.stats.bytesRead);
    assert.ok(conn.stats.bytesRead < highWaterMark + MiB, `${conn.stats.bytesRead} bytes are unread`);
    const dropped = once(conn, 'drop');
    sameBytes(await read(slowly(conn), sent.length), sent);
    assert.equal((await dropped)[0].reason, undefined);
    conn.destroy();
    await server.stop();
  },

  async 'idleTimeout'() {
    const server = await Server.start();
    const conn = await connect(server.port, { ...quick, idleTimeout: 100 });
    const [{ reason }] = await once(conn, 'drop');
    assert.equal(reason.code, 'ERR_RECON_TIMEOUT');
    conn.destroy();
    await server.stop();
  },

  async 'idleTimeout, in a busy process'() {
    const conn = await connect(Number(process.env.TALKER), { ...quick, idleTimeout: 100 });
    const reader = conn[Symbol.asyncIterator]();
    for (let turns = 0; turns < 5; turns++) {
      await reader.next();
      for (const until = performance.now() + 250; performance.now() < until; );
    }
    await sleep(20);
    assert.equal(conn.stats.links, 1);
    conn.destroy();
  },
};

async function* slowly(source) {
  let count = 0;
  for await (const chunk of source) {
    yield chunk;
    if (++count % 50 === 0) await sleep(1);
  }
}
