import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import nodeTls from 'node:tls';
import { connect } from 'recon';
import { echo, eventually, HOST, MiB, pem, pingPong, quick, read, rejection, sameBytes, Server, settled } from '../server.mjs';

const secure = { ...quick, host: 'localhost', tls: { ca: pem('ca') } };

/** Resolves every name to these addresses. */
const lookupOf = (...addresses) => (_name, { all }, callback) =>
  all ? callback(null, addresses.map((address) => ({ address, family: 4 }))) : callback(null, addresses[0], 4);

export const checks = {
  async 'TLS, across a restart'() {
    const server = await Server.start({ secure: true, onSocket: echo });
    const conn = await connect(`tls://localhost:${server.port}`, secure);
    for (const sent of [randomBytes(MiB), randomBytes(3)]) {
      const [heard] = await Promise.all([read(conn, sent.length), conn.write(sent)]);
      sameBytes(heard, sent);
      const back = once(conn, 'reconnect');
      await server.stop();
      await server.start();
      await back;
    }
    await conn.end();
    await server.stop();
  },

  async 'TLS: a session is resumed'() {
    const server = await Server.start({ secure: true, onSocket: (socket) => socket.write('hello') });
    const conn = await connect(server.port, secure);
    await read(conn, 5);
    const back = once(conn, 'reconnect');
    (await server.next()).end();
    const [link] = await back;
    assert.equal(link.socket.isSessionReused(), true);
    await conn.end();
    await server.stop();
  },

  async 'TLS: who is not vouched for is refused'() {
    const server = await Server.start({ secure: true });
    const unknown = await rejection(connect(server.port, { ...secure, tls: true }));
    assert.match(unknown.code, /SELF_SIGNED_CERT|UNABLE_TO_/);
    const tls = { ca: pem('ca'), servername: 'example.com' };
    const misnamed = await rejection(connect(server.port, { ...secure, tls }));
    assert.equal(misnamed.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    await server.stop();
  },

  async 'TLS: the first of two addresses is dead'() {
    const server = await Server.start({ secure: true, onSocket: echo });
    const conn = await connect(server.port, { ...secure, tls: { ca: pem('ca'), lookup: lookupOf('127.0.0.2', HOST) } });
    await pingPong(conn);
    await conn.end();
    await server.stop();
  },

  async 'TLS: a slow reader slows the peer'() {
    const sent = randomBytes(20 * MiB);
    const server = await Server.start({ secure: true, onSocket: (socket) => socket.write(sent) });
    const highWaterMark = 100_000;
    const conn = await connect(server.port, { ...secure, highWaterMark });
    await settled(() => conn.stats.bytesRead);
    assert.ok(conn.stats.bytesRead < highWaterMark + MiB, `${conn.stats.bytesRead} bytes are unread`);
    sameBytes(await read(conn, sent.length), sent);
    conn.destroy();
    await server.stop();
  },

  async 'TLS: a goodbye'() {
    const server = await Server.start({ secure: true });
    const conn = await connect(server.port, secure);
    const dropped = once(conn, 'drop');
    (await server.next()).end('bye');
    assert.equal((await dropped)[0].reason, undefined);
    assert.equal((await read(conn, 3)).toString(), 'bye');
    await conn.end();
    await server.stop();
  },

  async 'TLS: a goodbye behind a slow reader'() {
    const sent = randomBytes(MiB);
    const server = await Server.start({ secure: true, onSocket: (socket) => socket.end(sent) });
    const conn = await connect(server.port, { ...secure, highWaterMark: 1 });
    const dropped = once(conn, 'drop');
    const heard = [];
    for await (const chunk of conn) {
      heard.push(chunk);
      await sleep(1);
      if (Buffer.concat(heard).length === sent.length) break;
    }
    sameBytes(Buffer.concat(heard), sent);
    assert.equal((await dropped)[0].reason, undefined);
    conn.destroy();
    await server.stop();
  },

  async 'TLS: a reset is told as one'() {
    const server = await Server.start({ secure: true });
    const conn = await connect(server.port, secure);
    const sent = randomBytes(100_000);
    (await server.next()).write(sent);
    await eventually(() => conn.stats.bytesRead === sent.length);
    const dropped = once(conn, 'drop');
    server.reset();
    assert.equal((await dropped)[0].reason?.code, 'ECONNRESET');
    sameBytes(await read(conn, sent.length), sent);
    await conn.end();
    await server.stop();
  },

  async 'TLS: connectTimeout, before a silent peer'() {
    const server = await Server.start({ onSocket: (socket) => socket.pause() });
    const error = await rejection(connect(server.port, { ...secure, connectTimeout: 100, retry: { retries: 0 } }));
    assert.equal(error.code, 'ERR_RECON_TIMEOUT');
    await server.stop();
  },

  async 'TLS: dial brings a socket of one’s own'() {
    const server = await Server.start({ secure: true, onSocket: echo });
    const dial = () => nodeTls.connect({ port: server.port, host: HOST, servername: 'localhost', ca: pem('ca') });
    const conn = await connect({ ...quick, dial });
    await pingPong(conn);
    await conn.end();
    await server.stop();
  },
};
