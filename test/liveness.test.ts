import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Connection, type Drop, jsonLines, lines, type Link, type Retry } from 'recon';
import * as assert from 'uvu/assert';
import { here, inFolder, isPending, next, quick, readText, record, spin } from './helpers.js';
import { eventually, Peer, type PeerLink } from './peer.js';
import { MANNERS, proxied, ServerProcess, type Silent } from './silent.js';
import { suite } from './suite.js';

const test = suite('liveness');

/** Never waits for a goodbye of a peer that is silent. */
const impatient = { ...quick, closeTimeout: 0 };

/** Ends it whatever waits: the tests' peers may never take it. */
const cut = (conn: Connection<any, any>): Disposable => ({ [Symbol.dispose]: () => void conn.destroy() });

/** Counts the links lost. */
function countDrops(conn: Connection<any, any>): () => string[] {
  const reasons: string[] = [];
  conn.on('drop', ({ reason }) => reasons.push(String(reason)));
  return () => reasons;
}

/** Time in which nothing may happen, so that there is no event to wait for. */
const quiet = (milliseconds: number): Promise<void> => sleep(milliseconds);

/** A peer that says a little now and then. */
async function dribble(link: PeerLink): Promise<void> {
  for (let count = 0; count < 40; count++) {
    await link.send('.');
    await sleep(20);
  }
}

/** A peer that reads on and on, with pauses. */
function readSlowly(link: PeerLink, milliseconds: number): void {
  link.socket.on('data', () => {
    link.pause();
    setTimeout(() => link.resume(), milliseconds);
  });
}

const SILENCES: [what: string, start: () => Promise<Silent>][] = [
  ['a proxy that stops moving bytes', proxied],
  ['a server stopped with SIGSTOP', () => ServerProcess.start(MANNERS)],
];

/** Says something until it comes back: also a link made while the peer was silent may have been dropped meanwhile. */
async function talk(conn: Connection<Buffer, string | Uint8Array>): Promise<void> {
  let heard = '';
  const listening = readText(conn, (text) => (heard = text).includes('still here'));
  while (!heard.includes('still here')) {
    await conn.write('still here');
    await Promise.race([listening, sleep(20)]);
  }
  await listening;
}

for (const [what, start] of SILENCES) {
  test(`idleTimeout: ${what} loses its link, destroyed, with ERR_RECON_TIMEOUT; and is redialled`, async () => {
    await using silent = await start();
    await using conn = await connect(silent.port, '127.0.0.1', { ...impatient, idleTimeout: 60, keepAlive: false });
    using _cut = cut(conn);
    const dropped = next<Drop<Buffer, string>>(conn, 'drop');
    silent.hush();
    const { reason, link } = await dropped;
    assert.is(reason?.code, 'ERR_RECON_TIMEOUT');
    assert.match(reason!.message, '60 ms');
    assert.is(link.reason, reason);
    assert.ok(link.socket.destroyed);
    assert.not(link.socket.writableEnded, 'no goodbye to the dead');
    await next(conn, 'reconnect');
    silent.speak();
    await talk(conn);
  });

  test(`writeTimeout: ${what} loses its link, and gets the whole write on a later one`, async () => {
    await using silent = await start();
    const options = { ...impatient, writeTimeout: 60, maxBufferedAmount: 2 ** 27, discard: true };
    await using conn = await connect(silent.port, '127.0.0.1', options);
    using _cut = cut(conn);
    const dropped = next<Drop<Buffer, string>>(conn, 'drop');
    silent.hush();
    const written = conn.write(Buffer.alloc(2 ** 25));
    const { reason, link } = await dropped;
    assert.is(reason?.code, 'ERR_RECON_TIMEOUT');
    assert.ok(link.socket.destroyed);
    assert.not(link.socket.writableEnded);
    await next(conn, 'reconnect');
    assert.ok(await isPending(written));
    silent.speak();
    await written;
    assert.ok(conn.stats.bytesWritten >= 2 ** 25);
  });

  test(`connectTimeout: ${what} fails each attempt in onLink, until it talks again`, async () => {
    await using silent = await start();
    const onLink = async (link: Link): Promise<void> => assert.is(String(await link.read()), 'hello');
    await using conn = await connect(silent.port, '127.0.0.1', { ...impatient, connectTimeout: 100, onLink });
    using _cut = cut(conn);
    silent.hush();
    const up = conn.reconnect();
    const errors: unknown[] = [];
    conn.on('retry', ({ error }) => errors.push(error.code));
    await eventually(() => errors.length >= 2);
    assert.equal(errors.slice(0, 2), ['ERR_RECON_TIMEOUT', 'ERR_RECON_TIMEOUT']);
    assert.is(conn.stats.links, 1, 'an attempt that fails uses no number up');
    silent.speak();
    assert.is((await up).number, 2);
  });

  test(`heartbeats that are answered keep the link for many an idleTimeout; ${what} does not`, async () => {
    await using silent = await start();
    const heartbeat = { interval: 20, message: 'ping' };
    await using conn = await connect(silent.port, '127.0.0.1', { ...impatient, idleTimeout: 250, heartbeat });
    using _cut = cut(conn);
    const drops = countDrops(conn);
    const started = performance.now();
    for await (const _chunk of conn) if (performance.now() - started > 800) break;
    assert.equal(drops(), []);
    silent.hush();
    const { reason } = await next<Drop<Buffer, string>>(conn, 'drop');
    assert.is(reason?.code, 'ERR_RECON_TIMEOUT');
  });
}

test('idleTimeout never fires while a slow reader has paused the socket, and fires once it has caught up', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...impatient, idleTimeout: 50, highWaterMark: 16 * 1024 });
  using _cut = cut(conn);
  const drops = countDrops(conn);
  const link = await peer.nextLink();
  const sent = 256 * 1024;
  void link.send(Buffer.alloc(sent));
  await eventually(() => conn.stats.bytesRead >= 16 * 1024);
  await quiet(300);
  assert.equal(drops(), []);
  let read = 0;
  const dropped = next<Drop<Buffer, string>>(conn, 'drop');
  for await (const chunk of conn) {
    assert.equal(drops(), [], `after ${read} of ${sent} bytes`);
    if ((read += chunk.length) === sent) break;
  }
  assert.is((await dropped).reason?.code, 'ERR_RECON_TIMEOUT');
});

test('idleTimeout counts again once a reader has made room, though nothing more comes', async () => {
  const highWaterMark = 1024;
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...impatient, idleTimeout: 100, highWaterMark });
  using _cut = cut(conn);
  const dropped = next<Drop<Buffer, string>>(conn, 'drop');
  await (await peer.nextLink()).send(Buffer.alloc(highWaterMark));
  await eventually(() => conn.stats.bytesRead === highWaterMark);
  assert.ok(await isPending(dropped));
  await readText(conn, ({ length }) => length === highWaterMark);
  assert.is((await dropped).reason?.code, 'ERR_RECON_TIMEOUT');
});

test('idleTimeout is not put off by reading what is there already', async () => {
  const sent = 1024 * 1024;
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...impatient, idleTimeout: 100, highWaterMark: 2 * sent });
  using _cut = cut(conn);
  const drops = countDrops(conn);
  await (await peer.nextLink()).send(Buffer.alloc(sent));
  await eventually(() => conn.stats.bytesRead === sent);
  let read = 0;
  for await (const chunk of conn) {
    read += chunk.length;
    if (drops().length > 0 || read === sent) break;
    await sleep(20);
  }
  assert.ok(read < sent, 'it was dropped while there was something to read');
});

test('idleTimeout does not count while onLink is at work', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
  const onLink = async (link: Link): Promise<void> => {
    await link.read();
    await quiet(150);
  };
  await using conn = await connect(peer.port, { ...impatient, idleTimeout: 50, onLink });
  assert.is(conn.stats.attempts, 1);
});

test('idleTimeout never fires because a reader keeps the process busy while the peer talks', async () => {
  await using server = await ServerProcess.start(
    `const timer = setInterval(() => socket.write('tick'), 5); socket.on('close', () => clearInterval(timer));`,
  );
  await using conn = await connect(server.port, '127.0.0.1', { ...impatient, idleTimeout: 100 });
  using _cut = cut(conn);
  const drops = countDrops(conn);
  let chunks = 0;
  for await (const _chunk of conn) {
    spin(250);
    if (++chunks === 4) break;
  }
  assert.equal(drops(), []);
});

test('idleTimeout fires on a link that never said anything, and on every one', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...impatient, idleTimeout: 20 });
  using _cut = cut(conn);
  const codes: unknown[] = [];
  conn.on('drop', ({ reason }) => codes.push(reason?.code));
  await eventually(() => codes.length >= 3);
  assert.ok(codes.every((code) => code === 'ERR_RECON_TIMEOUT'));
});

test('idleTimeout counts bytes, not messages: the beginning of one is a sign of life', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...impatient, codec: lines(), idleTimeout: 250 });
  using _cut = cut(conn);
  const drops = countDrops(conn);
  const link = await peer.nextLink();
  await dribble(link);
  assert.equal(drops(), []);
});

test('idleTimeout heeds what discard throws away', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...impatient, discard: true, idleTimeout: 250 });
  using _cut = cut(conn);
  const drops = countDrops(conn);
  const link = await peer.nextLink();
  await dribble(link);
  assert.equal(drops(), []);
  assert.is((await next<Drop<Buffer, string>>(conn, 'drop')).reason?.code, 'ERR_RECON_TIMEOUT');
});

test('writeTimeout: a peer that reads slowly but steadily may take much longer than that for one big chunk', async () => {
  await inFolder(async (path) => {
    await using peer = await Peer.start({ path });
    const writeTimeout = 500;
    await using conn = await connect({ path, ...impatient, writeTimeout });
    using _cut = cut(conn);
    const drops = countDrops(conn);
    const link = await peer.nextLink();
    readSlowly(link, 10);
    const started = performance.now();
    await conn.write(Buffer.alloc(10 * 1024 * 1024));
    const took = performance.now() - started;
    assert.ok(took > 2 * writeTimeout, `it took only ${took} ms: this shows nothing`);
    assert.equal(drops(), []);
  });
});

test('writeTimeout: a peer that stops reading in the middle of a chunk loses its link', async () => {
  await inFolder(async (path) => {
    await using peer = await Peer.start({ path });
    await using conn = await connect({ path, ...impatient, writeTimeout: 50, unflushed: 'reject' });
    using _cut = cut(conn);
    const link = await peer.nextLink();
    const dropped = next<Drop<Buffer, string>>(conn, 'drop');
    const written = conn.write(Buffer.alloc(4 * 1024 * 1024)).catch((error: { code: string; cause: unknown }) => error);
    await link.untilLength(1024 * 1024);
    link.pause();
    const { reason } = await dropped;
    assert.is(reason?.code, 'ERR_RECON_TIMEOUT');
    const error = await written;
    assert.is(error?.code, 'ERR_RECON_UNFLUSHED');
    assert.is(error?.cause, reason);
  });
});

test('writeTimeout does not fire while nothing waits to be written', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...impatient, writeTimeout: 20 });
  const drops = countDrops(conn);
  await conn.write('x');
  await quiet(150);
  await conn.write(Buffer.alloc(1024 * 1024));
  await quiet(150);
  assert.equal(drops(), []);
});

test('writeTimeout never fires because this process was busy while the peer read', async () => {
  await using server = await ServerProcess.start(
    `socket.on('data', () => { socket.pause(); setTimeout(() => socket.resume(), 1); });`,
  );
  const options = { ...impatient, writeTimeout: 150, maxBufferedAmount: 2 ** 27 };
  await using conn = await connect(server.port, '127.0.0.1', options);
  using _cut = cut(conn);
  const drops = countDrops(conn);
  const written = conn.write(Buffer.alloc(2 ** 27)).catch(() => {});
  for (let count = 0; count < 4 && !(await settled(written, 50)); count++) spin(400);
  assert.equal(drops(), []);
});

const settled = (promise: Promise<unknown>, within: number): Promise<boolean> =>
  Promise.race([promise.then(() => true), sleep(within, false)]);

test('the timeouts of liveness are off at 0, as they are unless told', async () => {
  await inFolder(async (path) => {
    await using peer = await Peer.start({ path });
    for (const options of [{}, { idleTimeout: 0, writeTimeout: 0, connectTimeout: 0 }, { idleTimeout: Infinity, writeTimeout: Infinity, connectTimeout: Infinity }]) {
      await using conn = await connect({ path, ...impatient, ...options, onLink: () => quiet(20) });
      using _cut = cut(conn);
      const drops = countDrops(conn);
      (await peer.nextLink()).pause();
      const written = conn.write(Buffer.alloc(1024 * 1024));
      await quiet(60);
      assert.ok(await isPending(written));
      assert.equal(drops(), []);
    }
    assert.is(peer.links.length, 3);
  });
});

test('heartbeats are encoded by the codec, on every link, and not before onLink is done', async () => {
  await using peer = await Peer.start();
  const conn = connect(peer.port, {
    ...quick,
    codec: jsonLines(),
    heartbeat: { interval: 5, message: { ping: true } },
    onLink: async (link) => {
      await quiet(40);
      await link.write('hello');
      await link.read();
    },
  });
  for (let round = 0; round < 3; round++) {
    const link = await peer.nextLink();
    await link.until('"hello"\n');
    await quiet(40);
    assert.is(link.text, '"hello"\n', 'onLink still waits for its answer');
    await link.send('"welcome"\n');
    await link.until('{"ping":true}\n{"ping":true}\n');
    assert.match(link.text, /^"hello"\n(\{"ping":true\}\n)+$/);
    link.end();
  }
  await (await conn).end();
});

test('a heartbeat never gets into the middle of a chunk', async () => {
  await inFolder(async (path) => {
    await using peer = await Peer.start({ path });
    const heartbeat = { interval: 1, message: 'B' };
    for (const writeTimeout of [0, 5_000]) {
      await using conn = await connect({ path, ...impatient, writeTimeout, heartbeat });
      using _cut = cut(conn);
      const link = await peer.nextLink();
      readSlowly(link, 2);
      await link.until('B');
      for (let count = 0; count < 4; count++) void conn.write('a'.repeat(500_000));
      await link.untilLength(2_000_000);
      await link.until('aB');
      const pieces = link.text.split(/B+/).filter((piece) => piece !== '');
      assert.ok(pieces.every((piece) => piece.length % 500_000 === 0), String(pieces.map((piece) => piece.length)));
    }
  });
});

test('heartbeats do not pile up before a peer that does not read, and go on when it does', async () => {
  await inFolder(async (path) => {
    await using peer = await Peer.start({ path });
    const message = Buffer.alloc(64 * 1024);
    await using conn = await connect({ path, ...impatient, heartbeat: { interval: 2, message } });
    using _cut = cut(conn);
    const link = await peer.nextLink();
    link.pause();
    const { socket } = await here(conn);
    await eventually(() => socket.writableLength > 0);
    await quiet(200);
    assert.ok(socket.writableLength <= message.length, `${socket.writableLength} bytes wait`);
    assert.ok(conn.stats.bytesWritten < 20 * message.length, `${conn.stats.bytesWritten} bytes written`);
    link.resume();
    await link.untilLength(40 * message.length);
  });
});

test('heartbeats do not queue while there is no link', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { ...quick, heartbeat: { interval: 2, message: 'ping' } });
  await peer.stop();
  await eventually(() => conn.readyState === 'reopening');
  await quiet(50);
  assert.is(conn.bufferedAmount, 0);
  const up = next(conn, 'reconnect');
  await peer.start();
  await up;
});

test('heartbeats stop with the goodbye, and leave no timer', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  await using peer = await Peer.start({ halfOpen: true });
  const conn = await connect(peer.port, { ...quick, closeTimeout: 60_000, heartbeat: { interval: 2, message: 'ping;' } });
  const told = record(conn);
  const link = await peer.nextLink();
  await link.until('ping;ping;');
  const before = timers();
  const read = readText(conn, () => false);
  const ended = conn.end('bye');
  await link.ended;
  const { text } = link;
  assert.match(text, /^(ping;)+bye$/);
  await quiet(50);
  assert.is(link.text, text);
  await link.send('last words');
  link.end();
  await ended;
  assert.is(await read, 'last words');
  assert.equal(told, ['connect', 'close']);
  assert.ok(timers() <= before);
});

test('a link dropped in silence counts as a failure if it was young: the waits grow', async () => {
  await using peer = await Peer.start();
  const options = { idleTimeout: 10, closeTimeout: 0, minUptime: 60_000, retry: { minTimeout: 2, randomize: false } };
  await using conn = await connect(peer.port, options);
  using _cut = cut(conn);
  const delays: number[] = [];
  conn.on('retry', ({ delay, error }: Retry) => {
    assert.is(error.code, 'ERR_RECON_TIMEOUT');
    delays.push(delay);
  });
  await eventually(() => delays.length >= 4);
  assert.equal(delays.slice(0, 4), [2, 4, 8, 16]);
});

test.run();
