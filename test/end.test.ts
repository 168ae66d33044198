import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, connect, type Link } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, isPending, next, quick, readText, record, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('end');

test('end() flushes, says goodbye, lets a reader finish, and resolves when the link is closed', async () => {
  await using peer = await Peer.start({ halfOpen: true });
  const conn = await connect(peer.port);
  const told = record(conn);
  const link = await peer.nextLink();
  const reading = readText(conn, () => false);
  const ended = conn.end('last');
  assert.is(conn.readyState, 'closing');
  assert.is(conn.end(), ended);
  assert.is(await codeOf(conn.write('more')), 'ERR_RECON_CLOSED');
  await link.ended;
  assert.is(link.text, 'last');
  assert.ok(await isPending(ended));
  await link.send('goodbye');
  link.end();
  await ended;
  await conn.closed;
  assert.is(await reading, 'goodbye');
  assert.is(conn.readyState, 'closed');
  await eventually(() => told.includes('close'));
  assert.equal(told, ['connect', 'close']);
});

test('end() drops what nobody reads, so that the goodbye is seen', async () => {
  await using peer = await Peer.start({ halfOpen: true });
  const conn = await connect(peer.port, { highWaterMark: 1024 });
  const link = await peer.nextLink();
  const ended = conn.end();
  await link.ended;
  const flood = link.send(Buffer.alloc(8 * 1024 * 1024));
  await flood;
  link.end();
  await ended;
});

test('end() keeps for a later reader what had come before it', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  await (await peer.nextLink()).send('early');
  await eventually(() => conn.stats.bytesRead === 5);
  await conn.end();
  assert.is(await readText(conn, () => false), 'early');
});

for (const how of ['end', 'destroy'] as const) {
  test(`${how}() is over when the last socket is closed, however long that takes`, async () => {
    let isShut = false;
    const destroy = (error: Error | null, callback: (error: Error | null) => void): void => {
      setTimeout(() => {
        isShut = true;
        callback(error);
      }, 30);
    };
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback(), destroy });
    stream.once('finish', () => stream.push(null));
    const conn = await connect({ dial: () => stream });
    void conn[how]();
    await conn.closed;
    assert.ok(isShut);
  });
}

test('closeTimeout counts from the goodbye, which waits for what the link itself still writes', async () => {
  const closeTimeout = 800;
  await using peer = await Peer.start({ halfOpen: true });
  const conn = await connect(peer.port, { closeTimeout });
  const link = (await conn.links().next()).value!;
  const far = await peer.nextLink();
  far.pause();
  link.write(Buffer.alloc(16 * 1024 * 1024)).catch(() => {});
  const ended = conn.end();
  await sleep(closeTimeout / 4);
  const resumed = performance.now();
  far.resume();
  await ended;
  // The goodbye can't go before the peer reads; counted from `end()`, a quarter would be missing. Node's timers may be
  // early by a millisecond.
  assert.ok(performance.now() - resumed >= closeTimeout - 1);
});

test('end(message) tells of a message that was lost on its way, and the connection ends cleanly', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { ...quick, unflushed: 'reject' });
  const far = await peer.nextLink();
  far.pause();
  const ended = conn.end(Buffer.alloc(16 * 1024 * 1024));
  assert.ok(await isPending(ended));
  far.reset();
  assert.is(await codeOf(ended), 'ERR_RECON_UNFLUSHED');
  await conn.closed;
  assert.is(peer.links.length, 1);
});

test('end() waits no longer than closeTimeout for a peer that says nothing', async () => {
  await using peer = await Peer.start({ halfOpen: true });
  const conn = await connect(peer.port, { closeTimeout: 20 });
  const started = performance.now();
  await conn.end();
  assert.ok(performance.now() - started < 4_000);
});

test('end() waits no longer than closeTimeout, also where a link.write() is never taken', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.pause() });
  let written: Promise<void> | undefined;
  const conn = await connect(peer.port, { closeTimeout: 20 }, (link) => {
    written = link.write(Buffer.alloc(16 * 1024 * 1024));
  });
  await conn.end();
  assert.is(await codeOf(written!), 'ERR_RECON_DROPPED');
});

test('end() while down with nothing queued is immediate, and never dials again', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { retry: { minTimeout: 60_000 } });
  (await peer.nextLink()).end();
  await next(conn, 'retry');
  await conn.end();
  await conn.closed;
  assert.is(conn.stats.attempts, 1);
});

test('end() while down with a backlog flushes it first', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  await peer.stop();
  await next(conn, 'drop');
  const writes = [conn.write('a'), conn.write('b')];
  const ended = conn.end('c');
  assert.is(conn.readyState, 'closing');
  await peer.start();
  await ended;
  await Promise.all(writes);
  const link = peer.links.at(-1)!;
  await link.ended;
  assert.is(link.text, 'abc');
});

test('end() resolves once the backlog it waited for has been taken back', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  await peer.stop();
  await next(conn, 'drop');
  const controller = new AbortController();
  const write = conn.write('a', { signal: controller.signal });
  const ended = conn.end();
  assert.ok(await isPending(ended));
  controller.abort();
  await rejection(write);
  await ended;
});

test('end() rejects with the error that the connection fails with meanwhile', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { retry: { retries: 3, minTimeout: 1 } });
  await peer.stop();
  await next(conn, 'drop');
  const write = conn.write('x');
  const error = await rejection(conn.end());
  assert.is(error.code, 'ECONNREFUSED');
  assert.is(await rejection(conn.closed), error);
  assert.is((await rejection(write)).cause, error);
});

test('end() of what cannot be written rejects, and the connection lives', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  assert.instance(await rejection(conn.end(42 as never)), TypeError);
  assert.is(conn.readyState, 'open');
  await conn.write('alive');
});

test('destroy() is now: writes reject, the reader is done, what it had not read is gone', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { ...quick, maxBufferedAmount: Infinity });
  const told = record(conn);
  const link = await peer.nextLink();
  await link.send('unread');
  await eventually(() => conn.stats.bytesRead === 6);
  link.pause();
  const write = conn.write(Buffer.alloc(32 * 1024 * 1024));
  assert.ok(await isPending(write));
  conn.destroy();
  assert.is(conn.readyState, 'closed');
  assert.is(await codeOf(write), 'ERR_RECON_CLOSED');
  assert.is(await codeOf(conn.write('x')), 'ERR_RECON_CLOSED');
  assert.is(await readText(conn, () => false), '');
  await conn.closed;
  await conn.end();
  await eventually(() => told.includes('close'));
  assert.equal(told, ['connect', 'close']);
});

test('end(message) is not refused by a full buffer: it flushes what waits, and the message last', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { ...quick, maxBufferedAmount: 10 });
  await peer.stop();
  await eventually(() => conn.readyState === 'reopening');
  const written = conn.write('0123456789');
  const ended = conn.end('bye');
  assert.is(conn.bufferedAmount, 13);
  await peer.start();
  await written;
  await ended;
  await peer.links.at(-1)!.until('0123456789bye');
});

test('end() is fulfilled when the system has put the socket away', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  const { value: link } = await conn.links().next();
  let isGone = false;
  link!.socket.on('close', () => (isGone = true));
  await conn.end();
  assert.ok(isGone);
});

test('destroy(error): closed, the reader and the error event have that very error', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  const told = record(conn);
  const failure = new Error('enough');
  const heard = next(conn, 'drop');
  const reading = readText(conn, () => false);
  const write = conn.write('x');
  conn.destroy(failure);
  assert.is(await rejection(conn.closed), failure);
  assert.is(await rejection(reading), failure);
  assert.is((await rejection(write)).cause, failure);
  assert.is(((await heard) as { reason: unknown }).reason, failure);
  await eventually(() => told.includes('close'));
  assert.equal(told, ['connect', 'drop', 'error', 'close']);
});

test('destroy(null) is destroy() without an error', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  const told = record(conn);
  conn.destroy(null);
  assert.is(await conn.closed.then(() => 'resolved', () => 'rejected'), 'resolved');
  assert.equal(told, ['connect', 'close']);
});

test('await using ends it', async () => {
  await using peer = await Peer.start();
  let closed: Promise<void>;
  {
    await using conn = await connect(peer.port);
    void conn.write('bye');
    closed = conn.closed;
  }
  await closed;
  await (await peer.nextLink()).until('bye');
});

test('destroy() in a listener of drop: whatever was asked for before, it ends', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  conn.once('drop', () => conn.destroy());
  const back = conn.reconnect();
  await conn.closed;
  assert.is(await codeOf(back), 'ERR_RECON_CLOSED');
  assert.is(conn.readyState, 'closed');
});

test('a link.write() after the goodbye is refused, and the reader loses nothing by it', async () => {
  await using peer = await Peer.start({ halfOpen: true });
  const conn = await connect(peer.port);
  const [link] = (await once(conn, 'connect')) as [Link];
  const far = await peer.nextLink();
  const reading = readText(conn, () => false);
  const ended = conn.end();
  await far.ended;
  assert.is(await codeOf(link.write('too late')), 'ERR_RECON_CLOSED');
  await far.send('goodbye');
  far.end();
  await ended;
  assert.is(await reading, 'goodbye');
});

test('connect() rejects when the connection is ended before its first link is up', async () => {
  const port = await Peer.freePort();
  const onRetry = (message: unknown): void => void (message as { connection: Connection }).connection.destroy();
  subscribe('recon:retry', onRetry);
  assert.is(await codeOf(connect(port, quick)), 'ERR_RECON_CLOSED');
  unsubscribe('recon:retry', onRetry);
});

test.run();
