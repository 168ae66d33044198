import { randomBytes } from 'node:crypto';
import { Duplex, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { connect, jsonLines, lines } from 'recon';
import * as assert from 'uvu/assert';
import { digest, isPending, next, quick, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('stream');

/** Collects what is written to it. */
function collector(): Writable & { readonly bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(chunk);
      callback();
    },
  });
  return Object.assign(sink, { bytes: () => Buffer.concat(chunks) });
}

test('goes through pipeline() in both directions, whole', async () => {
  await using peer = await Peer.start({ echo: true });
  const conn = await connect(peer.port);
  const data = randomBytes(8 * 1024 * 1024);
  const sink = collector();
  const parts = Array.from({ length: 128 }, (_, n) => data.subarray(n * 65_536, (n + 1) * 65_536));
  await pipeline(Readable.from(parts, { objectMode: false }), conn.stream(), sink);
  assert.is(digest(sink.bytes()), digest(data));
  await conn.closed;
});

test('a pipeline that only writes ends when all is flushed and both have said goodbye', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  await pipeline(Readable.from([Buffer.from('one,'), Buffer.from('two')]), conn.stream());
  await (await peer.nextLink()).until('one,two');
  await conn.closed;
});

test('a full buffer, or a small one, refuses none of its writes', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, maxBufferedAmount: 10 });
  await peer.stop();
  await eventually(() => conn.readyState === 'reopening');
  const first = conn.write('0123456789');
  const stream = conn.stream();
  stream.write('far more than ten bytes');
  const second = new Promise<unknown>((resolve) => stream.write(', twice', resolve));
  assert.ok(await isPending(second));
  await peer.start();
  await first;
  assert.not((await second) instanceof Error);
  await peer.links.at(-1)!.until('0123456789far more than ten bytes, twice');
});

test('a pipeline that waits for a link fails when the connection is destroyed', async () => {
  for (const error of [undefined, new Error('enough')]) {
    await using peer = await Peer.start();
    const conn = await connect(peer.port, { ...quick, maxBufferedAmount: 10 });
    await peer.stop();
    await eventually(() => conn.readyState === 'reopening');
    void conn.write('0123456789');
    const piped = pipeline(Readable.from([Buffer.from('more')]), conn.stream());
    assert.ok(await isPending(piped));
    conn.destroy(error);
    const failure = await rejection(piped);
    assert.ok(failure === error || failure.code === 'ERR_RECON_CLOSED', failure);
    assert.is(conn.listenerCount('drain'), 0);
  }
});

test("what was refused to one connection's stream ends the connection that it was piped to", async () => {
  await using peer = await Peer.start();
  await using one = await connect(peer.port);
  const other = await connect(peer.port);
  const reading = one[Symbol.asyncIterator]();
  void reading.next();
  const error = await rejection(pipeline(one.stream(), other.stream()));
  assert.is((error as { code?: string }).code, 'ERR_RECON_READING');
  assert.is(await rejection(other.closed), error);
  assert.is(one.readyState, 'open');
  await reading.return!();
});

test('end() flushes what it has written, and is not broken by what it writes later', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { ...quick, maxBufferedAmount: 10 });
  await peer.stop();
  await eventually(() => conn.readyState === 'reopening');
  const stream = conn.stream();
  const failed = next(stream as never, 'error');
  const told: unknown[] = [];
  stream.write('one,', (error) => told.push(error?.message));
  stream.write('two', (error) => told.push((error as { code?: string }).code));
  const ended = conn.end();
  await peer.start();
  await ended;
  assert.is(((await failed) as { code: string }).code, 'ERR_RECON_CLOSED');
  assert.equal(told, [undefined, 'ERR_RECON_CLOSED']);
  await peer.links.at(-1)!.until('one,');
});

test('a pipeline that leaves it open has nothing left that end() could miss, or a write overtake', async () => {
  const words = Array.from({ length: 20 }, (_, n) => `${n}`);
  for (const isDown of [false, true]) {
    await using peer = await Peer.start();
    const conn = await connect(peer.port, { ...quick, codec: lines() });
    if (isDown) {
      const dropped = next(conn, 'drop');
      await peer.stop();
      await dropped;
    }
    const piped = pipeline(Readable.from(words), conn.stream(), { end: false });
    if (isDown) await peer.start();
    await piped;
    void conn.write('after');
    await conn.end('bye');
    const last = peer.links.at(-1)!;
    await last.ended;
    assert.equal(last.text.trimEnd().split('\n'), [...words, 'after', 'bye']);
  }
});

test('goes on across links', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const stream = conn.stream();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  let link = await peer.nextLink();
  await link.send('one,');
  link.end();
  link = await peer.nextLink();
  await link.send('two');
  await eventually(() => text === 'one,two');
  stream.write('three');
  await link.until('three');
});

test('honours backpressure both ways', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { highWaterMark: 64 * 1024 });
  const stream = conn.stream();
  const link = await peer.nextLink();
  link.pause();
  let written = 0;
  while (stream.write(Buffer.alloc(64 * 1024))) written += 1;
  assert.ok(written < 64 && stream.writableNeedDrain);
  const drained = next(stream as never, 'drain');
  link.resume();
  await drained;
  const sent = link.send(Buffer.alloc(32 * 1024 * 1024));
  stream.read(0);
  await eventually(() => conn.stats.bytesRead >= 64 * 1024);
  assert.ok(await isPending(sent));
  assert.ok(conn.stats.bytesRead < 1024 * 1024, String(conn.stats.bytesRead));
  stream.resume();
  await sent;
});

test('with a codec it carries messages', async () => {
  await using peer = await Peer.start({ echo: true });
  const conn = await connect(peer.port, { codec: lines() });
  const read: string[] = [];
  await pipeline(
    Readable.from(['one', 'two', 'three']),
    conn.stream(),
    new Writable({
      objectMode: true,
      write(line: string, _encoding, callback) {
        read.push(line);
        callback();
      },
    }),
  );
  assert.equal(read, ['one', 'two', 'three']);
});

test('becomes a WHATWG pair', async () => {
  await using peer = await Peer.start({ echo: true });
  const conn = await connect(peer.port);
  const { readable, writable } = Duplex.toWeb(conn.stream());
  const writer = writable.getWriter();
  await writer.write(Buffer.from('ping'));
  const { value } = await readable.getReader().read();
  assert.is(Buffer.from(value as Uint8Array).toString(), 'ping');
  await writer.close();
  await conn.closed;
});

test('destroying it destroys the connection, and the other way round', async () => {
  await using peer = await Peer.start();
  const failure = new Error('enough');
  const one = await connect(peer.port);
  const first = one.stream().on('error', () => {});
  first.destroy(failure);
  assert.is(await rejection(one.closed), failure);
  const two = await connect(peer.port);
  const failed = new Promise((resolve) => two.stream().on('error', resolve));
  two.destroy(failure);
  assert.is(await failed, failure);
});

test('a failed connection fails the pipeline, after all that was received', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { retry: { retries: 0 } });
  const link = await peer.nextLink();
  const sink = collector();
  const piped = pipeline(conn.stream(), sink);
  await link.send('last words');
  link.end();
  assert.is((await rejection(piped)).code, 'ERR_RECON_DROPPED');
  assert.is(sink.bytes().toString(), 'last words');
});

test('there is one, and a second reader does not harm the connection', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  assert.is(conn.stream(), conn.stream());
  const reader = conn[Symbol.asyncIterator]();
  const waiting = reader.next();
  const failed = new Promise<{ code: string }>((resolve) => conn.stream().on('error', resolve));
  conn.stream().resume();
  assert.is((await failed).code, 'ERR_RECON_READING');
  await (await peer.nextLink()).send('still here');
  assert.is(String((await waiting).value), 'still here');
});

test('a slow reader gets all that was received before a failure', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { codec: lines(), retry: { retries: 0 } });
  const link = await peer.nextLink();
  const sent = Array.from({ length: 50 }, (_, n) => `line ${n}`);
  await link.send(`${sent.join('\n')}\n`);
  const read: string[] = [];
  const slow = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(line: string, _encoding, callback) {
      read.push(line);
      setImmediate(callback);
    },
  });
  const piped = pipeline(conn.stream(), slow);
  await eventually(() => read.length > 0);
  link.reset();
  await rejection(piped);
  assert.equal(read, sent);
});

for (const how of ['destroy', 'end'] as const) {
  test(`a pipeline into it does not hang when the connection is told to ${how}()`, async () => {
    await using peer = await Peer.start();
    const conn = await connect(peer.port);
    const piped = pipeline(new Readable({ read() {} }), conn.stream());
    void conn[how]();
    assert.is((await rejection(piped)).code, 'ERR_STREAM_PREMATURE_CLOSE');
  });
}

test('a null among the messages fails it, rather than pass for its end', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { codec: jsonLines() });
  await (await peer.nextLink()).send('1\nnull\n2\n');
  const read: unknown[] = [];
  const error = await rejection(
    (async () => {
      for await (const value of conn.stream()) read.push(value);
    })(),
  );
  assert.is(error.code, 'ERR_RECON_CODEC');
  assert.equal(read, [1]);
});

test('heeds the encoding of what is written', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  conn.stream().write('c3a9', 'hex');
  conn.stream().write('4pyT', 'base64');
  const link = await peer.nextLink();
  await link.untilLength(5);
  assert.is(link.text, 'é✓');
});

test('messages that together are more than maxBufferedAmount wait, and fail nothing', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { codec: lines(), maxBufferedAmount: 1024 * 1024 });
  const line = 'x'.repeat(400_000);
  await pipeline(Readable.from(Array.from({ length: 10 }, () => line)), conn.stream());
  assert.is((await peer.nextLink()).received.length, 10 * (line.length + 1));
});

test('what was received before a failure is there for who begins to read after it', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, { retry: { retries: 0 } });
  const stream = conn.stream();
  const link = await peer.nextLink();
  await link.send('answer');
  link.end();
  await rejection(conn.closed);
  const read: string[] = [];
  const error = await rejection(
    (async () => {
      for await (const chunk of stream) read.push(String(chunk));
    })(),
  );
  assert.is(error.code, 'ERR_RECON_DROPPED');
  assert.equal(read, ['answer']);
});

test.run();
