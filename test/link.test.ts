import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { type Codec, connect, type Connection, type Decoder, type Drop, type Link, lines } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, next, quick, readText, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('link');

test('a message that the codec refuses is refused by link.write(), too, and the link lives', async () => {
  await using peer = await Peer.start({ echo: true });
  let link: Link<string, string> | undefined;
  await using conn = await connect(peer.port, { codec: lines(), onLink: (up) => void (link = up) });
  assert.is(await codeOf(link!.write('one\ntwo')), 'ERR_RECON_CODEC');
  await link!.write('three');
  assert.is(await readText(conn, () => true), 'three');
  assert.is(conn.stats.links, 1);
});

test('a stream of somebody else’s making that throws when it is written to loses its link, and the write goes out on the next', async () => {
  const written: string[] = [];
  const thrown = new Error('not today');
  let dials = 0;
  const dial = (): Duplex => {
    const stream = new Duplex({ read() {}, write: (chunk, _encoding, callback) => (written.push(String(chunk)), callback()) });
    if (++dials === 1) stream.write = () => { throw thrown; };
    return stream;
  };
  await using conn = await connect({ ...quick, closeTimeout: 1, dial });
  const dropped = next<Drop<Buffer, unknown>>(conn, 'drop');
  await conn.write('hello');
  assert.is((await dropped).reason, thrown);
  assert.equal(written, ['hello']);
  assert.is(conn.stats.links, 2);
});

test('a stream of somebody else’s making that throws in the midst of a write with writeTimeout loses its link, too', async () => {
  const thrown = new Error('not today');
  let dials = 0;
  let onSecond = 0;
  const dial = (): Duplex => {
    const number = ++dials;
    let writes = 0;
    return new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, callback) {
        if (number === 1 && ++writes === 2) throw thrown;
        if (number === 2) onSecond += chunk.length;
        setImmediate(callback);
      },
    });
  };
  await using conn = await connect({ ...quick, closeTimeout: 1, writeTimeout: 60_000, dial });
  const dropped = next<Drop<Buffer, unknown>>(conn, 'drop');
  await conn.write(Buffer.alloc(64 * 1024));
  assert.is((await dropped).reason, thrown);
  assert.is(onSecond, 64 * 1024, 'whole');
});

test('a stream that has a programming error in its write() ends the connection with it, however long it lasted', async () => {
  const here = new TypeError('target.send is not a function');
  const elsewhere = runInNewContext("new TypeError('of another realm')") as Error;
  for (const [mistake, writeTimeout] of [[here, 0], [here, 60_000], [elsewhere, 0], [elsewhere, 60_000]] as const) {
    const dial = (): Duplex =>
      new Duplex({
        read() {},
        write() {
          throw mistake;
        },
      });
    const conn = await connect({ ...quick, writeTimeout, dial });
    const written = conn.write('hello');
    assert.is(await rejection(conn.closed), mistake);
    assert.is((await rejection(written)).cause, mistake);
    assert.is(conn.stats.links, 1);
  }
});

test('what a stream that throws leaves behind is drained', async () => {
  const dial = (): Duplex => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    stream.write = () => { throw new Error('not today'); };
    return stream;
  };
  await using conn = await connect({ ...quick, closeTimeout: 1, unflushed: 'reject', dial });
  const drained = next(conn, 'drain');
  assert.is(await codeOf(conn.write('hello')), 'ERR_RECON_UNFLUSHED');
  await drained;
});

test('a stream that throws when it is destroyed is lost, and the next one is dialled', async () => {
  const streams: Duplex[] = [];
  const dial = (): Duplex => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    if (streams.push(stream) === 1) {
      stream.destroy = () => {
        throw new Error('not today');
      };
    }
    return stream;
  };
  const conn = await connect({ ...quick, closeTimeout: 1, dial });
  const up = next(conn, 'reconnect');
  streams[0]!.push(null);
  await up;
  await conn.end();
});

test('a decoder whose pending() throws costs no message: nothing is counted as unfinished', async () => {
  await using peer = await Peer.start();
  const pending = (): number => { throw new Error('a mistake in a codec'); };
  const codec: Codec<string, string> = {
    decoder: () => Object.assign((chunk: Buffer) => [chunk.toString()], { pending }),
    encode: (message) => message,
  };
  await using conn = await connect(peer.port, { ...quick, codec });
  const dropped = next<Drop<string, string>>(conn, 'drop');
  const link = await peer.nextLink();
  await link.send('hello');
  assert.is(await readText(conn, () => true), 'hello');
  link.end();
  assert.is((await dropped).discarded, 0);
});

test('a decoder whose pending() is no number of bytes costs no bound, and no end', async () => {
  for (const pending of [() => 5n, () => NaN, () => '5', () => Promise.resolve(5)] as never[]) {
    await using peer = await Peer.start();
    const decoder = (): Decoder<string> => Object.assign((chunk: Buffer) => [chunk.toString()], { pending });
    const conn = await connect(peer.port, { codec: { decoder, encode: String }, highWaterMark: 1_000 });
    const link = await peer.nextLink();
    void link.send('x'.repeat(1_000_000));
    await eventually(() => conn.stats.bytesRead >= 1_000);
    await turn();
    assert.ok(conn.stats.bytesRead < 1_000_000, 'it was paused');
    conn.destroy();
    await conn.closed;
  }
});

test('a codec that ends the connection as its decoder is made leaves nothing to be read', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
  const failure = new Error('enough');
  let made = 0;
  // What was sent is here before the decoder is made.
  const dial = async (): Promise<net.Socket> => {
    const socket = net.connect(peer.port, '127.0.0.1');
    await once(socket, 'readable');
    return socket;
  };
  const decoder = (): Decoder<string> => {
    if (++made === 2) conn.destroy(failure);
    return (chunk) => [chunk.toString()];
  };
  const conn: Connection<string, string> = await connect({ ...quick, dial, codec: { decoder, encode: String } });
  (await peer.nextLink()).end();
  assert.is(await rejection(conn.closed), failure);
  const read: string[] = [];
  const reading = (async () => {
    for await (const message of conn) read.push(message);
  })();
  assert.is(await rejection(reading), failure);
  assert.equal(read, []);
});

test('a loop of refused link.write() lets the event loop turn', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  const { value: link } = await conn.links().next();
  await conn.reconnect();
  let turned = false;
  setImmediate(() => (turned = true));
  while (!turned) assert.is(await codeOf(link!.write('x')), 'ERR_RECON_DROPPED');
  await conn.end();
});

for (const method of ['resume', 'off'] as const) {
  test(`a stream of somebody else’s making whose ${method}() throws can be ended, and lost`, async () => {
    for (const how of ['destroy', 'end', 'be lost']) {
      const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
      const conn = await connect({ dial: () => stream, highWaterMark: 1, retry: { retries: 0 }, closeTimeout: 10 });
      stream.push('much more than the mark');
      await eventually(() => conn.stats.bytesRead > 0);
      Object.assign(stream, { [method]: () => { throw new Error(`${method}() throws`); } });
      const closed = conn.closed.catch(() => {});
      if (how === 'destroy') conn.destroy();
      else if (how === 'end') void conn.end();
      else stream.destroy();
      await closed;
    }
  });
}

test.run();
