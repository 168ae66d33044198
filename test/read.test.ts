import net from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { connect, type Connection, type Drop, lengthPrefixed, type Link, lines } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, isPending, next, quick, readText, rejection, spin } from './helpers.js';
import { used } from './memory.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('read');

test('reads on across FIN, RST and a restart of the server, in order', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, '127.0.0.1', quick);
  const reading = readText(conn, (text) => text.endsWith('four'));
  let link = await peer.nextLink();
  await link.send('one,');
  link.end();
  link = await peer.nextLink();
  await link.send('two,');
  await eventually(() => conn.stats.bytesRead === 8);
  link.reset();
  link = await peer.nextLink();
  await link.send('three,');
  await eventually(() => conn.stats.bytesRead === 14);
  await peer.stop();
  await peer.start();
  await (await peer.nextLink()).send('four');
  assert.is(await reading, 'one,two,three,four');
});

test('delivers what was received before a reset, to a slow reader too', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, retry: { retries: 0 } });
  const link = await peer.nextLink();
  const sent = Buffer.alloc(20_000, 'x');
  await link.send(sent);
  await eventually(() => conn.stats.bytesRead === sent.length);
  await peer.stop();
  link.reset();
  await next(conn, 'drop');
  let received = 0;
  await rejection(
    (async () => {
      for await (const chunk of conn) received += chunk.length;
    })(),
  );
  assert.is(received, sent.length);
});

test('delivers what a stream of its own had buffered when it was reset, though the reader had paused it', async () => {
  let transport: Duplex | undefined;
  const sent = ['one,', 'two,', 'three'];
  await using conn = await connect({
    highWaterMark: 1,
    retry: { retries: 0 },
    dial: () => {
      transport = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
      return transport;
    },
  });
  for (const part of sent) transport!.push(part);
  await eventually(() => conn.stats.bytesRead > 0);
  transport!.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  let received = '';
  const error = await rejection(
    (async () => {
      for await (const chunk of conn) received += chunk.toString();
    })(),
  );
  assert.is(error.message, 'reset');
  assert.is(received, sent.join(''));
});

test('break only leaves the loop: a later one goes on where it stopped', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('a\nb\nc\nd\n') });
  await using conn = await connect(peer.port, { codec: lines() });
  const read: string[] = [];
  for (let rounds = 0; rounds < 4; rounds++) {
    for await (const line of conn) {
      read.push(line);
      break;
    }
  }
  assert.equal(read, ['a', 'b', 'c', 'd']);
  assert.is(conn.readyState, 'open');
});

test('has one reader at a time', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  const first = conn[Symbol.asyncIterator]();
  const waiting = first.next();
  assert.is(await codeOf(conn[Symbol.asyncIterator]().next()), 'ERR_RECON_READING');
  assert.is(await codeOf(conn.batches().next()), 'ERR_RECON_READING');
  assert.is(await codeOf(conn.links().next()), 'ERR_RECON_READING');
  await first.return?.();
  assert.equal(await waiting, { done: true, value: undefined });
  assert.ok(await isPending(conn.batches().next()));
});

test('a slow reader slows the peer, and memory stays flat', async () => {
  const highWaterMark = 256 * 1024;
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { highWaterMark });
  const link = await peer.nextLink();
  const total = 64 * 1024 * 1024;
  let taken = 0;
  const sent = (async () => {
    for (; taken < total; taken += 1024 * 1024) await link.send(Buffer.alloc(1024 * 1024));
  })();
  await eventually(() => link.socket.writableLength > 0 && conn.stats.bytesRead >= highWaterMark);
  const before = conn.stats.bytesRead;
  assert.ok(before <= highWaterMark + 64 * 1024, `${before} bytes read`);
  assert.ok(await isPending(sent));
  assert.ok(taken < total);
  let received = 0;
  for await (const chunk of conn) {
    received += chunk.length;
    if (received === total) break;
  }
  await sent;
});

test('a full inbox does not keep onLink of the next link from reading', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.until('?').then(() => link.send('welcome')) });
  const read: string[] = [];
  await using conn = await connect(peer.port, {
    ...quick,
    highWaterMark: 4,
    onLink: async (link) => {
      await link.write('?');
      read.push(String(await link.read()));
    },
  });
  const link = await peer.nextLink();
  await link.send('unread');
  await eventually(() => conn.stats.bytesRead === 'welcome'.length + 'unread'.length);
  await conn.reconnect();
  assert.equal(read, ['welcome', 'welcome']);
  assert.is(await readText(conn, (text) => text.length === 6), 'unread');
});

test('discard counts and drops, and notices the goodbye of a peer that talks', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, discard: true, highWaterMark: 1024 });
  const link = await peer.nextLink();
  await link.send(Buffer.alloc(4 * 1024 * 1024));
  const dropped = next(conn, 'drop');
  link.end();
  await dropped;
  assert.is(conn.stats.bytesRead, 4 * 1024 * 1024);
  assert.is(conn.stats.bytesDiscarded, 4 * 1024 * 1024);
});

test('discard drops what onLink left unread, too', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('welcome\nnews\n') });
  const onLink = async (link: Link<string, string>): Promise<void> => assert.is(await link.read(), 'welcome');
  const conn = await connect(peer.port, { codec: lines(), discard: true, onLink });
  await conn.end();
  assert.is(await readText(conn, () => false), '');
});

test('links() gives each link in turn, which ends where it was lost and says why', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, '127.0.0.1', quick);
  const seen: string[] = [];
  const reading = (async () => {
    for await (const link of conn.links()) {
      let text = '';
      for await (const chunk of link) text += chunk.toString();
      seen.push(`${link.number}:${text}:${(link.reason as { code?: string } | undefined)?.code ?? 'goodbye'}`);
      if (link.number === 3) break;
    }
  })();
  for (const [text, how] of [['a', 'end'], ['b', 'reset'], ['c', 'end']] as const) {
    const link = await peer.nextLink();
    const { bytesRead } = conn.stats;
    await link.send(text);
    await eventually(() => conn.stats.bytesRead > bytesRead);
    link[how]();
  }
  await reading;
  assert.equal(seen, ['1:a:goodbye', '2:b:ECONNRESET', '3:c:goodbye']);
});

test('moving on to the next link skips what is left of this one, and what it still sends', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, codec: lines() });
  const links = conn.links();
  const take = async (): Promise<Link<string, string>> => (await links.next()).value!;
  let link = await peer.nextLink();
  await link.send('one\ntwo\n');
  const first = await take();
  assert.is((await first[Symbol.asyncIterator]().next()).value, 'one');
  const second = take();
  await link.send('three\n');
  link.end();
  link = await peer.nextLink();
  await link.send('four\n');
  for await (const line of await second) {
    assert.is(line, 'four');
    break;
  }
  assert.is(conn.stats.bytesDiscarded, 'one\ntwo\nthree\n'.length);
});

test('batches() gives all that is ready, and no batch spans two links', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, codec: lines() });
  let link = await peer.nextLink();
  await link.send('a\nb\nc\n');
  link.end();
  link = await peer.nextLink();
  await link.send('d\n');
  await eventually(() => conn.stats.bytesRead === 8);
  const read: string[][] = [];
  for await (const batch of conn.batches()) {
    read.push(batch);
    if (batch.includes('d')) break;
  }
  assert.equal(read, [['a', 'b', 'c'], ['d']]);
});

test('half a message of a dead link is not glued to the next one: its bytes are counted', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, codec: lines() });
  const dropped = next<{ discarded: number }>(conn, 'drop');
  let link = await peer.nextLink();
  await link.send('whole\nhal');
  link.end();
  assert.is((await dropped).discarded, 3);
  link = await peer.nextLink();
  await link.send('f\nnext\n');
  const read: string[] = [];
  for await (const line of conn) {
    read.push(line);
    if (line === 'next') break;
  }
  assert.equal(read, ['whole', 'f', 'next']);
});

test('what cannot be read drops the link with ERR_RECON_CODEC, after the messages before it', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, codec: lines({ maxLength: 4 }) });
  const dropped = next<{ reason: { code: string } }>(conn, 'drop');
  await (await peer.nextLink()).send('good\ntoo long\nnever\n');
  assert.is((await dropped).reason.code, 'ERR_RECON_CODEC');
  await (await peer.nextLink()).send('new\n');
  const read: string[] = [];
  for await (const line of conn) {
    read.push(line);
    if (line === 'new') break;
  }
  assert.equal(read, ['good', 'new']);
});

test('the loop ends at a clean end, and throws when the connection failed, after all that was received', async () => {
  await using peer = await Peer.start();
  {
    const conn = await connect(peer.port);
    const link = await peer.nextLink();
    const reading = readText(conn, () => false);
    const ended = conn.end();
    await link.ended;
    assert.is((await ended, await reading), '');
  }
  {
    await using conn = await connect(peer.port, { retry: { retries: 0 } });
    const link = await peer.nextLink();
    await link.send('last words');
    link.end();
    const failure = await rejection(conn.closed);
    const read: string[] = [];
    const error = await rejection(
      (async () => {
        for await (const chunk of conn) read.push(chunk.toString());
      })(),
    );
    assert.is(error, failure);
    assert.equal(read, ['last words']);
  }
});

test('bytes of an unfinished message count against the high-water mark, too', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { codec: lengthPrefixed(), highWaterMark: 64 * 1024 });
  const link = await peer.nextLink();
  const frame = lengthPrefixed().encode(Buffer.alloc(256 * 1024)) as Buffer;
  const sent = (async () => {
    for (let n = 0; n < 64; n++) {
      await link.send(frame.subarray(0, -1));
      await link.send(frame.subarray(-1));
    }
  })();
  await eventually(() => link.socket.writableLength > 0);
  assert.ok(await isPending(sent));
  assert.ok(conn.stats.bytesRead < 2 * frame.length, `${conn.stats.bytesRead} bytes read`);
  conn.destroy();
  await rejection(sent);
});

test('a handshake that fails again and again does not fill the memory with what it left unread', async () => {
  const greeting = `${'x'.repeat(1023)}\n`.repeat(60);
  await using peer = await Peer.start({ onLink: (link) => void link.send(greeting) });
  let attempts = 0;
  await using conn = await connect(peer.port, {
    ...quick,
    codec: lines(),
    highWaterMark: 128 * 1024,
    onLink: async (link) => {
      await link.read();
      attempts += 1;
      if (attempts < 30) throw new Error('not yet');
    },
  });
  const { bytesRead, bytesDiscarded } = conn.stats;
  assert.ok(bytesRead - bytesDiscarded <= 256 * 1024, `${bytesDiscarded} of ${bytesRead} bytes dropped`);
});

test('what follows a message that cannot be read is not delivered, from a buffer neither', async () => {
  let stream: Duplex | undefined;
  await using conn = await connect({
    highWaterMark: 1,
    codec: lines({ maxLength: 4 }),
    retry: { retries: 0 },
    dial: () => (stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() })),
  });
  stream!.push('good\n');
  stream!.push('too long');
  stream!.push('\nforged\n');
  const read: string[] = [];
  const error = await rejection(
    (async () => {
      for await (const line of conn) read.push(line);
    })(),
  );
  assert.is(error.code, 'ERR_RECON_CODEC');
  assert.equal(read, ['good']);
});

test('links() passes over attempts that failed', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
  let attempts = 0;
  await using conn = await connect(peer.port, quick, () => {
    attempts += 1;
    if (attempts === 2 || attempts === 3) throw new Error('not yet');
  });
  const links = conn.links();
  assert.is((await links.next()).value!.number, 1);
  const second = links.next();
  (await peer.nextLink()).end();
  assert.is((await second).value!.number, 2);
  assert.is(attempts, 4);
});

test('a link that is iterated alone reads on, though an older one has filled the inbox', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, highWaterMark: 8 });
  await (await peer.nextLink()).send('old and unread');
  await eventually(() => conn.stats.bytesRead === 14);
  const link = await conn.reconnect();
  const far = await peer.nextLink();
  const chunks = link[Symbol.asyncIterator]();
  for (const text of ['one', 'two', 'three']) {
    await far.send(text);
    assert.is(String((await chunks.next()).value), text);
  }
  // A reader that only holds its place would keep the goodbye waiting.
  await chunks.return?.();
});

test('a stream that dial brings paused is read, and one that is dead fails the attempt but loses nothing', async () => {
  const streams = ['dead', 'alive'].map((text) => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    stream.push(`${text};`);
    stream.pause();
    return stream;
  });
  streams[0]!.destroy();
  let dials = 0;
  await using conn = await connect({ ...quick, closeTimeout: 0, dial: () => streams[dials++]! });
  assert.is(conn.stats.links, 1);
  assert.is(conn.stats.attempts, 2);
  assert.is(await readText(conn, (text) => text.endsWith('alive;')), 'dead;alive;');
});

test('a decoder that cannot be made leaves no socket', async () => {
  await using peer = await Peer.start();
  const codec = {
    ...lines(),
    decoder: () => {
      throw new Error('no decoder');
    },
  };
  assert.is((await rejection(connect(peer.port, { codec, retry: { retries: 0 } }))).message, 'no decoder');
  await (await peer.nextLink()).closed;
});

test('a decoder that drops its own link loses nothing of the chunk, nor of what the stream still holds', async () => {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
  const later = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
  let dials = 0;
  let conn!: Connection<string, string>;
  const codec = {
    ...lines(),
    decoder: () => {
      const decode = lines().decoder();
      const dropping = (chunk: Buffer): Iterable<string> => {
        if (chunk.includes('GOAWAY')) void conn.reconnect();
        return decode(chunk);
      };
      return Object.assign(dropping, { pending: decode.pending! });
    },
  };
  conn = await connect({ ...quick, codec, dial: () => (dials++ === 0 ? stream : later) });
  const drop = next<Drop<string, string>>(conn, 'drop');
  for (const chunk of ['one\n', 'two\nGOAWAY\nthree\n', 'four\nfi']) stream.push(chunk);
  later.push('six\n');
  const read: string[] = [];
  for await (const line of conn) if (read.push(line) === 6) break;
  assert.equal(read, ['one', 'two', 'GOAWAY', 'three', 'four', 'six']);
  assert.is((await drop).discarded, 2);
  conn.destroy();
});

test('a decoder that drops its own link and then fails: the first reason is the reason', async () => {
  await using peer = await Peer.start();
  let conn!: Connection<string, string>;
  const decoder = () => function* (chunk: Buffer): Generator<string> {
    yield chunk.toString();
    conn.destroy(mine);
    throw new Error('then');
  };
  const mine = new Error('mine');
  conn = await connect(peer.port, { ...quick, codec: { ...lines(), decoder } });
  const drop = next<Drop<string, string>>(conn, 'drop');
  await (await peer.nextLink()).send('hello');
  assert.is((await drop).reason, mine);
  assert.is(await rejection(conn.closed), mine);
});

test('what a stream in memory answers to its decoder comes after the chunk of the moment, and is not lost with the link', async () => {
  const stream: Duplex = new Duplex({
    read() {},
    write(_chunk, _encoding, callback) {
      this.push('answer;');
      callback();
    },
  });
  const streams = [stream, new Duplex({ read() {} })];
  let link!: Link<string, string>;
  let conn!: Connection<string, string>;
  const decoder = () => (chunk: Buffer): string[] => {
    const text = chunk.toString();
    if (text === 'question;') {
      void link.write('?');
      void conn.reconnect();
    }
    return [text];
  };
  const onLink = (it: Link<string, string>): void => void (link = it);
  conn = await connect({ ...quick, codec: { ...lines(), decoder }, onLink, dial: () => streams.shift()! });
  stream.push('question;');
  const read: string[] = [];
  for await (const text of conn) if (read.push(text) === 2) break;
  assert.equal(read, ['question;', 'answer;']);
  conn.destroy();
});

for (const [what, decoder] of [
  ['no function', () => []],
  ['a function that returns nothing', () => () => undefined],
  ['an async function', () => async () => []],
] as const) {
  test(`a decoder that is ${what} is a mistake of this program, and ends it`, async () => {
    await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
    const codec = { ...lines(), decoder: decoder as never };
    const error = await rejection(connect(peer.port, { ...quick, codec }).then((conn) => conn.closed));
    assert.instance(error, TypeError);
    assert.match(error.message, 'decoder');
    assert.is(peer.links.length, 1);
  });
}

test('a stream that cannot be read, and is never closed, is a failed attempt, and hides nothing of the next', async () => {
  let dials = 0;
  const dial = (): Duplex => {
    const stream = new PassThrough({ emitClose: false });
    if (dials++ > 0) stream.write('hello');
    else {
      stream.resume = () => {
        throw new Error('no');
      };
    }
    return stream;
  };
  const conn = await connect({ ...quick, closeTimeout: 5, dial });
  assert.is(await readText(conn, (text) => text.length === 5), 'hello');
  await conn.end();
  assert.equal(await conn[Symbol.asyncIterator]().next(), { done: true, value: undefined });
});

test('a stream that was told an encoding is read as the bytes that it stands for', async () => {
  // Base64 stands for three bytes at a time.
  const bytes = Buffer.from([0xe9, 0x01, 0x02, 0xff, 0x80, 0x00]);
  for (const encoding of ['latin1', 'hex', 'base64'] as const) {
    await using peer = await Peer.start({ onLink: (link) => void link.send(bytes) });
    await using conn = await connect({ ...quick, dial: () => net.connect(peer.port, '127.0.0.1').setEncoding(encoding) });
    const read: Buffer[] = [];
    for await (const chunk of conn) {
      read.push(chunk);
      if (Buffer.concat(read).length === bytes.length) break;
    }
    assert.equal(Buffer.concat(read), bytes, encoding);
  }
});

test('a stream of strings that was told no encoding is read as UTF-8', async () => {
  const stream = new Duplex({ readableObjectMode: true, read() {} });
  stream.push('é');
  const conn = await connect({ dial: () => stream });
  assert.equal((await conn[Symbol.asyncIterator]().next()).value, Buffer.from('é'));
  conn.destroy();
});

test('a chunk cannot be transferred away from under the others', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('one') });
  await using conn = await connect(peer.port);
  const { value } = await conn[Symbol.asyncIterator]().next();
  const { port1, port2 } = new MessageChannel();
  try {
    // Node 20 copies it instead; later ones refuse.
    port1.postMessage(value, [value!.buffer as ArrayBuffer]);
  } catch {}
  assert.is(String(value), 'one');
  port1.close();
  port2.close();
});

test('a codec may make any number of messages from a chunk', async () => {
  await using peer = await Peer.start();
  const codec = { decoder: () => () => Array.from({ length: 200_000 }, (_, n) => n), encode: (text: string) => text };
  await using conn = await connect(peer.port, { codec });
  const link = await peer.nextLink();
  await link.send('x');
  await eventually(() => conn.stats.bytesRead === 1);
  await link.send('y');
  let count = 0;
  for await (const batch of conn.batches()) if ((count += batch.length) === 400_000) break;
});

test('a flood whose messages take long lets the event loop turn', async () => {
  await using peer = await Peer.start({ onLink: ({ socket }) => socket.write(Buffer.alloc(4 * 1024 * 1024)) });
  const chunksOfTurns = [0];
  const decoder = () => (chunk: Buffer) => {
    chunksOfTurns[0]! += 1;
    spin(6);
    return [chunk.length];
  };
  const turned = (): void => {
    chunksOfTurns.unshift(0);
    immediate = setImmediate(turned);
  };
  let immediate = setImmediate(turned);
  await using conn = await connect(peer.port, { codec: { decoder, encode: (text: string) => text } });
  let left = 4 * 1024 * 1024;
  for await (const length of conn) if ((left -= length) === 0) break;
  clearImmediate(immediate);
  const most = Math.max(...chunksOfTurns);
  // The clock is looked at once there are 64 KiB: after the second, if the first were less.
  assert.ok(most <= 3, `${most} chunks in one turn`);
});

test('who keeps links that are lost does not keep their half messages', async () => {
  const half = Buffer.alloc(900_000, 'x');
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, codec: lines() });
  const kept: Link<string, string>[] = [];
  conn.on('drop', ({ link }) => kept.push(link));
  const before = used();
  while (kept.length < 10) {
    const link = await peer.nextLink();
    const read = conn.stats.bytesRead;
    await link.send(half);
    await eventually(() => conn.stats.bytesRead === read + half.length);
    link.reset();
    await next(conn, 'reconnect');
  }
  const bytes = used() - before;
  assert.ok(bytes < 4 * half.length, `${bytes} bytes are held`);
});

test('links that are each read by their own reader are not kept', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello').then(() => link.end()) });
  await using conn = await connect(peer.port, { ...quick, retry: { minTimeout: 0 } });
  const kept: WeakRef<object>[] = [];
  const read = async (link: Link): Promise<void> => {
    kept.push(new WeakRef(link));
    for await (const chunk of link) assert.is(chunk.toString(), 'hello');
  };
  const readAll = (async () => {
    while (kept.length < 200) await read(await next<Link>(conn, 'reconnect')).catch(() => {});
  })();
  await readAll;
  await eventually(() => {
    (globalThis.gc as () => void)();
    return kept.filter((ref) => ref.deref()).length < 20;
  });
});

test('reconnect() takes no more from a stream than it has', async () => {
  let made = 0;
  const endless = (): Duplex =>
    new Duplex({
      read() {
        made += 1;
        this.push(Buffer.alloc(16 * 1024));
      },
      write: (_chunk, _encoding, callback) => callback(),
    });
  await using conn = await connect({ ...quick, closeTimeout: 0, highWaterMark: 64 * 1024, dial: endless });
  await eventually(() => conn.stats.bytesRead >= 64 * 1024);
  const before = made;
  void conn.reconnect();
  assert.ok(made - before < 10, `${made - before} more`);
  conn.destroy();
});

test('a link that was read to its end is not visited again by a later loop over the links', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const first = await peer.nextLink();
  const back = next(conn, 'reconnect');
  await first.send('one');
  first.end();
  for await (const link of conn.links()) {
    assert.equal(await readText(link, () => false), 'one');
    await back;
    break;
  }
  for await (const link of conn.links()) {
    assert.is(link.number, 2);
    break;
  }
});

test('a reader of links that skips a full one and leaves at the next lets that one flow', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, highWaterMark: 1_000 });
  await (await peer.nextLink()).send('x'.repeat(2_000));
  await eventually(() => conn.stats.bytesRead === 2_000);
  await conn.reconnect();
  for await (const link of conn.links()) if (link.number === 2) break;
  await (await peer.nextLink()).send('hello');
  assert.is(await readText(conn, () => true), 'hello');
});

test.run();
