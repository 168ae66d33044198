import { getEventListeners, once } from 'node:events';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { connect, type Link, lines } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, isPending, next, quick, record, rejection } from './helpers.js';
import { eventually, Peer, type PeerLink } from './peer.js';
import { suite } from './suite.js';

const test = suite('write');

test('goes out in order, and settles when it is flushed', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  const link = await peer.nextLink();
  const order: number[] = [];
  await Promise.all([1, 2, 3].map((n) => conn.write(`${n};`).then(() => order.push(n))));
  await conn.write(Buffer.from('4;'));
  await conn.write(new Uint8Array([53, 59]));
  await link.until('1;2;3;4;5;');
  assert.equal(order, [1, 2, 3]);
  assert.is(conn.bufferedAmount, 0);
  assert.is(conn.stats.bytesWritten, 10);
});

test('a loop of awaited writes that are refused lets the event loop turn', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, '127.0.0.1', { maxBufferedAmount: 4 });
  let turned = false;
  setImmediate(() => (turned = true));
  for (let count = 0; !turned; count++) {
    assert.ok(count < 1_000);
    assert.is(await codeOf(conn.write('hello')), 'ERR_RECON_BUFFER_FULL');
  }
});

test('who aborts for whatever reason is told that very reason', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  for (let count = 0; count < 40; count++) assert.is(await rejection(conn.write('x', { signal: AbortSignal.abort(null) })), null);
});

test('a drain follows each refusal, though some are told in the next turn of the event loop', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, '127.0.0.1', { maxBufferedAmount: 4 });
  for (let round = 0; round < 100; round++) {
    void conn.write('1234');
    const refused = conn.write('5');
    assert.is(await codeOf(refused), 'ERR_RECON_BUFFER_FULL');
    await next(conn, 'drain');
  }
});

test('no drain follows what the codec refuses, however often it does', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { codec: lines() });
  const told = record(conn);
  for (let count = 0; count < 100; count++) assert.is(await codeOf(conn.write('one\ntwo')), 'ERR_RECON_CODEC');
  await conn.end();
  assert.equal(told, ['connect', 'close']);
});

test('no drain follows destroy(), though some refusals are told later', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { maxBufferedAmount: 4 });
  const told = record(conn);
  const codes = Array.from({ length: 100 }, () => codeOf(conn.write('hello')));
  conn.destroy();
  assert.equal(new Set(await Promise.all(codes)), new Set(['ERR_RECON_BUFFER_FULL']));
  await conn.closed;
  await turn();
  assert.equal(told, ['connect', 'close']);
});

test('waits while the link is down, and new writes never overtake queued ones', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const dropped = next(conn, 'drop');
  await peer.stop();
  await dropped;
  const writes = Array.from({ length: 100 }, (_, n) => conn.write(`${n},`));
  assert.ok(await isPending(writes[0]!));
  conn.once('reconnect', () => void conn.write('late'));
  await peer.start();
  await Promise.all(writes);
  const link = peer.links.at(-1)!;
  await link.until('late');
  assert.is(link.text, `${Array.from({ length: 100 }, (_, n) => `${n},`).join('')}late`);
});

test('the scenario of the ancestor: what the first server said is written to the second', async () => {
  const greet = async (link: PeerLink): Promise<void> => {
    if (peer.links.length > 1) return link.send('end');
    await link.send('pow!');
    link.socket.destroy();
  };
  await using peer = await Peer.start({ onLink: (link) => void greet(link) });
  await peer.stop();
  const sockets: unknown[] = [];
  const connecting = connect(peer.port, '127.0.0.1', (link) => sockets.push(link.socket));
  await peer.start();
  await using conn = await connecting;
  const told = record(conn);
  const read: string[] = [];
  const reading = (async () => {
    for await (const chunk of conn) {
      read.push(chunk.toString());
      await conn.write(chunk);
      if (read.length === 2) break;
    }
  })();
  await next(conn, 'drop');
  await peer.stop();
  await peer.start();
  await reading;
  const link = peer.links[1]!;
  await link.until('end');
  assert.equal(read, ['pow!', 'end']);
  assert.ok('pow!end'.endsWith(link.text), link.text);
  assert.ok(sockets.length === 2 && sockets.every((socket) => socket instanceof Socket));
  assert.equal(told.filter((name) => name !== 'retry' && name !== 'drain'), ['connect', 'drop', 'reconnect']);
}, 15_000);

test('waits while the link is in onLink, and nothing overtakes its handshake', async () => {
  await using peer = await Peer.start();
  let finish = (): void => {};
  await using conn = await connect(peer.port, {
    ...quick,
    onLink: async (link) => {
      await link.write('hello;');
      if (link.number === 2) await new Promise<void>((resolve) => (finish = resolve));
    },
  });
  const link = await peer.nextLink();
  link.end();
  const second = await peer.nextLink();
  await second.until('hello;');
  const write = conn.write('queued');
  assert.ok(await isPending(write));
  assert.is(second.text, 'hello;');
  finish();
  await write;
  await second.until('hello;queued');
});

test('is never handed to a socket that is still connecting', async () => {
  await using peer = await Peer.start();
  const writtenEarly: boolean[] = [];
  await using conn = await connect(peer.port, { ...quick, onLink: (link) => writtenEarly.push(link.socket.writableLength > 0) });
  (await peer.nextLink()).end();
  await next(conn, 'drop');
  await conn.write('x');
  assert.equal(writtenEarly, [false, false]);
  await peer.links.at(-1)!.until('x');
});

/** A transport that takes what it is told to take, and the parts that it was handed. */
function transport(): { stream: Duplex; handed: string[]; take: () => void } {
  const handed: string[] = [];
  let taken: () => void = () => {};
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, callback) {
      handed.push(String(chunk));
      taken = callback;
    },
  });
  return { stream, handed, take: () => taken() };
}

test("unflushed: 'resend' sends again, whole and first, what was handed over and not confirmed", async () => {
  const transports = [transport(), transport()];
  let dials = 0;
  await using conn = await connect({ ...quick, closeTimeout: 0, dial: () => transports[dials++]!.stream });
  const [one, two] = transports as [ReturnType<typeof transport>, ReturnType<typeof transport>];
  const first = conn.write('first');
  await eventually(() => one.handed.length === 1);
  const second = conn.write('second');
  const up = next(conn, 'reconnect');
  one.stream.destroy(new Error('cut'));
  await up;
  assert.ok(await isPending(first));
  two.take();
  await first;
  await eventually(() => two.handed.length === 2);
  two.take();
  await second;
  assert.equal(two.handed, ['first', 'second']);
});

test("unflushed: 'reject' rejects it, and what had not begun simply waits", async () => {
  const transports = [transport(), transport()];
  let dials = 0;
  await using conn = await connect({ ...quick, closeTimeout: 0, unflushed: 'reject', dial: () => transports[dials++]!.stream });
  const [one, two] = transports as [ReturnType<typeof transport>, ReturnType<typeof transport>];
  const first = conn.write('first');
  await eventually(() => one.handed.length === 1);
  const second = conn.write('second');
  const cut = new Error('cut');
  one.stream.destroy(cut);
  const error = await rejection(first);
  assert.is(error.code, 'ERR_RECON_UNFLUSHED');
  assert.is(error.cause, cut);
  await eventually(() => two.handed.length === 1);
  two.take();
  await second;
  assert.equal(two.handed, ['second']);
});

test('maxBufferedAmount: as much passes, and one byte more is refused at once', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, maxBufferedAmount: 10 });
  const dropped = next(conn, 'drop');
  await peer.stop();
  await dropped;
  const writes = [conn.write('12345'), conn.write('é234')];
  assert.is(conn.bufferedAmount, 10);
  assert.is(await codeOf(conn.write('x')), 'ERR_RECON_BUFFER_FULL');
  assert.is(conn.bufferedAmount, 10);
  writes.push(conn.write(''));
  await peer.start();
  await Promise.all(writes);
  await peer.links.at(-1)!.until('12345é234');
});

test('a signal takes back what has not begun, and nothing else', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const dropped = next(conn, 'drop');
  await peer.stop();
  await dropped;
  const controller = new AbortController();
  const reason = new Error('never mind');
  const writes = [conn.write('a;'), conn.write('b;', { signal: controller.signal }), conn.write('c;')];
  assert.is(conn.bufferedAmount, 6);
  controller.abort(reason);
  assert.is(await rejection(writes[1]!), reason);
  assert.is(conn.bufferedAmount, 4);
  assert.is(await rejection(conn.write('d;', { signal: controller.signal })), reason);
  await peer.start();
  await Promise.all([writes[0], writes[2]]);
  await peer.links.at(-1)!.until('a;c;');
});

test('data that is neither a string nor a Uint8Array is a TypeError', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  for (const data of [42, null, undefined, {}, [], new ArrayBuffer(1), Symbol('x')]) {
    assert.instance(await rejection(conn.write(data as never)), TypeError);
  }
  assert.is(conn.bufferedAmount, 0);
  await conn.write('fine');
  await (await peer.nextLink()).until('fine');
});

test('options of a write that cannot be right are a TypeError that names them, and nothing of it is sent', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  for (const [options, ...words] of [
    [{ signal: 1 }, 'write options.signal', '1'],
    [{ signal: null }, 'write options.signal', 'null'],
    [{ singal: 2 }, 'write options.singal', '2', 'did you mean signal?'],
    [3, 'write options', '3'],
    [null, 'write options', 'null'],
  ] as const) {
    const error = await rejection(conn.write('x', options as never));
    assert.instance(error, TypeError);
    for (const word of words) assert.match(error.message, word);
  }
  await conn.end('fine');
  const link = await peer.nextLink();
  await link.ended;
  assert.is(link.text, 'fine');
});

test('a line with a line break in it is refused, and nothing of it goes out', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { codec: lines() });
  assert.is(await codeOf(conn.write('one\ntwo')), 'ERR_RECON_CODEC');
  await conn.write('three');
  const link = await peer.nextLink();
  await link.until('\n');
  assert.is(link.text, 'three\n');
});

test('a loop of awaited writes lets the event loop turn, and so notices a FIN within milliseconds', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  const link = await peer.nextLink();
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 1);
  for (let n = 0; n < 20_000; n++) await conn.write(`${n}\n`);
  clearInterval(timer);
  assert.ok(ticks > 10, `${ticks} ticks of a timer`);
  const dropped = next(conn, 'drop');
  let gone = false;
  void dropped.then(() => (gone = true));
  link.end();
  let written = 0;
  for (; !gone; written++) await conn.write('x');
  assert.ok(written < 20_000, `${written} writes before the FIN was noticed`);
});

test('a loop of awaited writes to a stream in memory that answers at once lets the event loop turn', async () => {
  const dial = (): Duplex => {
    const stream: Duplex = new Duplex({ read() {}, write: (chunk, _encoding, callback) => (stream.push(chunk), callback()) });
    return stream;
  };
  await using conn = await connect({ closeTimeout: 1, discard: true, dial });
  let hasTurned = false;
  setImmediate(() => (hasTurned = true));
  for (let count = 0; count < 20_000 && !hasTurned; count++) await conn.write('x');
  assert.ok(hasTurned);
});

test('text goes out as UTF-8, whatever its socket was told by default', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, (link) => void link.socket.setDefaultEncoding('utf16le'));
  await conn.end('grün');
  const link = await peer.nextLink();
  await link.ended;
  assert.is(link.text, 'grün');
});

test('drain comes once for each backlog, and not without one', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const told = record(conn);
  await conn.write('no backlog');
  const up = next(conn, 'reconnect');
  const dropped = next(conn, 'drop');
  await peer.stop();
  await dropped;
  const writes = [conn.write('a'), conn.write('b')];
  await peer.start();
  await up;
  await Promise.all(writes);
  await conn.write('c');
  await eventually(() => told.includes('drain'));
  assert.is(told.filter((name) => name === 'drain').length, 1);
});

test('a chunk larger than any buffer arrives whole on one link', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { maxBufferedAmount: Infinity });
  const big = Buffer.alloc(20 * 1024 * 1024);
  for (let n = 0; n < big.length; n += 4096) big.writeUInt32BE(n, n);
  const hash = await import('node:crypto');
  const digest = hash.createHash('sha1');
  const link = await peer.nextLink();
  link.socket.removeAllListeners('data');
  let length = 0;
  link.socket.on('data', (chunk) => {
    length += chunk.length;
    digest.update(chunk);
  });
  await conn.write(big);
  await eventually(() => length === big.length);
  assert.is(digest.digest('hex'), hash.createHash('sha1').update(big).digest('hex'));
});

test('memory stays within a small multiple of the bound, for a million one-byte writes too', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, maxBufferedAmount: 1024 * 1024 });
  const dropped = next(conn, 'drop');
  await peer.stop();
  await dropped;
  const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const before = used();
  for (let n = 0; n < 1024 * 1024; n++) void conn.write('x');
  assert.is(conn.bufferedAmount, 1024 * 1024);
  const grown = used() - before;
  assert.ok(grown < 32 * 1024 * 1024, `grew by ${grown} bytes`);
  conn.destroy();
});

test('drain follows a refusal, so that nobody waits for ever', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { maxBufferedAmount: 10 });
  const drained = next(conn, 'drain');
  void conn.write('12345678');
  assert.is(await codeOf(conn.write('12345678')), 'ERR_RECON_BUFFER_FULL');
  await drained;
});

test('an empty write resolves in its turn, and a loop of them lets the event loop turn', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  const order: string[] = [];
  await Promise.all(['x', '', 'y'].map((data) => conn.write(data).then(() => order.push(data))));
  assert.equal(order, ['x', '', 'y']);
  let fired = false;
  setTimeout(() => (fired = true), 5);
  while (!fired) await conn.write('');
});

test('many writes that one signal can take back put one listener on it', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  await peer.stop();
  await next(conn, 'drop');
  const [one, two] = [new AbortController(), new AbortController()];
  const listeners = (): number => [one, two].flatMap(({ signal }) => getEventListeners(signal, 'abort')).length;
  const writes = Array.from({ length: 1_000 }, (_, n) => conn.write('x', { signal: (n % 2 ? one : two).signal }));
  assert.is(listeners(), 2);
  one.abort();
  assert.is(conn.bufferedAmount, 500);
  await Promise.allSettled(writes.filter((_, n) => n % 2));
  await peer.start();
  await Promise.all(writes.filter((_, n) => n % 2 === 0));
  assert.is(listeners(), 0);
});

test('small writes with signals of their own are bounded, too', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, maxBufferedAmount: 64 * 1024 });
  await peer.stop();
  await next(conn, 'drop');
  let taken = 0;
  for (; taken < 100_000; taken++) {
    const write = conn.write('', { signal: new AbortController().signal });
    if (conn.stats.attempts >= 0 && taken % 1_000 === 999 && !(await isPending(write))) break;
  }
  assert.ok(taken < 10_000, `${taken} writes`);
  conn.destroy();
});

test('with a writeTimeout, what is written while a write is under way goes out once, and in order', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { writeTimeout: 5_000 });
  const link = await peer.nextLink();
  const chunks = Array.from({ length: 300 }, (_, n) => `${n};`.padEnd(n % 7 === 0 ? 40_000 : 50));
  const written = [];
  for (const chunk of chunks) {
    written.push(conn.write(chunk));
    // Some are written together, and some when others have begun.
    if (written.length % 3 === 0) await Promise.resolve();
    if (written.length % 40 === 0) await written.at(-1);
  }
  await Promise.all(written);
  const all = chunks.join('');
  await link.untilLength(all.length);
  await conn.end();
  await link.ended;
  assert.ok(link.text === all, 'what arrived is what was written');
});

test('with a writeTimeout, a goodbye still waits for what the link itself was writing', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { writeTimeout: 5_000 });
  const [link] = (await once(conn, 'connect')) as [Link];
  const far = await peer.nextLink();
  await link.write('');
  const write = link.write(Buffer.alloc(8 * 1024 * 1024));
  await conn.end();
  await write;
  assert.is(far.received.length, 8 * 1024 * 1024);
  assert.is(link.reason, undefined);
});

test('with a writeTimeout, too, drain follows a write that had to wait for the peer', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { writeTimeout: 5_000 });
  const told = record(conn);
  const link = await peer.nextLink();
  link.pause();
  const written = conn.write(Buffer.alloc(16 * 1024 * 1024));
  assert.ok(await isPending(written));
  link.resume();
  await written;
  await conn.end();
  assert.equal(told, ['connect', 'drain', 'close']);
});

test('a Uint8Array of another realm is one, whatever its size', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  await conn.write(runInNewContext('new Uint8Array(5000).fill(120)'));
  await conn.write(runInNewContext('new Uint8Array(1).fill(121)'), { signal: new AbortController().signal });
  await (await peer.nextLink()).until('xy');
});

test('thousands of small writes that can each be taken back are confirmed without holding up the event loop', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, maxBufferedAmount: 64 * 1024 * 1024 });
  await peer.stop();
  await next(conn, 'drop');
  const { signal } = new AbortController();
  const writes = Array.from({ length: 100_000 }, () => conn.write('x', { signal }));
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  await peer.start();
  await Promise.all(writes);
  clearInterval(timer);
  assert.ok(longest < 1_000, `${longest} ms`);
});

test.run();
