import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'recon';
import { echo, MiB, quick, read, received, sameBytes, Server } from '../server.mjs';

export const checks = {
  async 'buffered write'() {
    const server = await Server.start();
    const conn = await connect(server.port, quick);
    await server.next();
    const dropped = once(conn, 'drop');
    await server.stop();
    await dropped;
    const written = [conn.write('one '), conn.write(Buffer.from('two ')), conn.write('three')];
    assert.equal(conn.bufferedAmount, 13);
    const drained = once(conn, 'drain');
    await server.start();
    assert.equal((await received(await server.next(), 13)).toString(), 'one two three');
    await Promise.all([...written, drained]);
    assert.equal(conn.bufferedAmount, 0);
    await conn.end();
    await server.stop();
  },

  async '10 MiB there and back'() {
    const server = await Server.start({ onSocket: echo });
    const conn = await connect(server.port, quick);
    const sent = randomBytes(10 * MiB);
    const [heard] = await Promise.all([read(conn, sent.length), conn.write(sent)]);
    sameBytes(heard, sent);
    await conn.end();
    await server.stop();
  },

  async 'many small writes, in order'() {
    const server = await Server.start();
    const conn = await connect(server.port, quick);
    const words = Array.from({ length: 50_000 }, (_, index) => (index % 7 === 0 ? Buffer.from(`${index} `) : `${index} `));
    const whole = Buffer.from(words.join(''));
    const heard = received(await server.next(), whole.length);
    await Promise.all(words.map((word) => conn.write(word)));
    sameBytes(await heard, whole);
    await conn.end();
    await server.stop();
  },

  async 'a slow peer slows the writer'() {
    const server = await Server.start({ onSocket: (socket) => socket.pause() });
    const conn = await connect(server.port, { ...quick, maxBufferedAmount: 2 * MiB });
    const pieces = [];
    for (let refused; ; ) {
      const piece = randomBytes(256 * 1024);
      await Promise.race([conn.write(piece).catch((error) => (refused = error)), sleep(50)]);
      if (refused) {
        assert.equal(refused.code, 'ERR_RECON_BUFFER_FULL');
        break;
      }
      pieces.push(piece);
    }
    const drained = once(conn, 'drain');
    const whole = Buffer.concat(pieces);
    sameBytes(await received(await server.next(), whole.length), whole);
    await drained;
    assert.equal(conn.stats.links, 1);
    conn.destroy();
    await server.stop();
  },

  async 'writeTimeout'() {
    const server = await Server.start({ onSocket: (socket) => socket.pause() });
    const conn = await connect(server.port, { ...quick, writeTimeout: 100 });
    const dropped = once(conn, 'drop');
    void conn.write(randomBytes(10 * MiB));
    assert.equal((await dropped)[0].reason.code, 'ERR_RECON_TIMEOUT');
    conn.destroy();
    await server.stop();
  },

  async 'a loop of awaited writes sees the goodbye'() {
    const server = await Server.start({ onSocket: (socket) => void socket.resume() });
    const conn = await connect(server.port, { ...quick, discard: true });
    const socket = await server.next();
    setTimeout(() => socket.end(), 20);
    let dropped = false;
    conn.once('drop', () => (dropped = true));
    while (!dropped) await conn.write('a line\n');
    conn.destroy();
    await server.stop();
  },

  async 'pipeline() through stream()'() {
    const server = await Server.start({ halfOpen: true, onSocket: echo });
    const conn = await connect(server.port, quick);
    const sent = randomBytes(3 * MiB);
    const heard = [];
    await pipeline(Readable.from([sent.subarray(0, 10), sent.subarray(10)]), conn.stream(), async (source) => {
      for await (const chunk of source) heard.push(chunk);
    });
    sameBytes(Buffer.concat(heard), sent);
    await conn.closed;
    await server.stop();
  },

  async 'stream() as a WHATWG pair'() {
    const server = await Server.start({ onSocket: echo });
    const conn = await connect(server.port, quick);
    const { readable, writable } = Duplex.toWeb(conn.stream());
    const reader = readable.getReader();
    const writer = writable.getWriter();
    await writer.write(Buffer.from('ping'));
    assert.equal(Buffer.from((await reader.read()).value).toString(), 'ping');
    await writer.close();
    assert.equal((await reader.read()).done, true);
    await conn.closed;
    await server.stop();
  },
};
