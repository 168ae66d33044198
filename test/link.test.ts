import { Duplex } from 'node:stream';
import { type Codec, connect, type Drop, type Link, lines } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, next, quick, readText, rejection } from './helpers.js';
import { Peer } from './peer.js';
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

test('so does one that throws later, in the midst of a write that is watched', async () => {
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
  const mistake = new TypeError('target.send is not a function');
  for (const writeTimeout of [0, 60_000]) {
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

test.run();
