import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { getEventListeners, once } from 'node:events';
import { type Connection, connect, type ConnectOptions, type Link } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, isPending, next, quick, readText, record, rejection } from './helpers.js';
import { eventually, Peer, type PeerLink } from './peer.js';
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

test('end() waits no longer than closeTimeout for a peer that says nothing', async () => {
  await using peer = await Peer.start({ halfOpen: true });
  const conn = await connect(peer.port, { closeTimeout: 20 });
  const started = performance.now();
  await conn.end();
  assert.ok(performance.now() - started < 4_000);
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

/** A connection brought into some state, and what to do so that nothing of the test is left. */
interface Scene {
  readonly conn: Connection;
  readonly link?: PeerLink;
}

/** Each state, on a server that the endings may use. Signals and retries are the row's. */
const states: Record<string, (peer: Peer, options: ConnectOptions) => Promise<Scene>> = {
  async dialling(peer, options) {
    let dials = 0;
    const conn = await connect(peer.port, '127.0.0.1', {
      ...options,
      dial: async () => (dials++ === 0 ? (await import('node:net')).connect(peer.port, '127.0.0.1') : new Promise(() => {})),
    });
    const dropped = next(conn, 'drop');
    (await peer.nextLink()).end();
    await dropped;
    await eventually(() => dials === 2);
    return { conn };
  },
  async 'in onLink'(peer, options) {
    let links = 0;
    const conn = await connect(peer.port, { ...options, onLink: () => (links++ === 0 ? undefined : new Promise(() => {})) });
    (await peer.nextLink()).end();
    await eventually(() => links === 2);
    return { conn, link: await peer.nextLink() };
  },
  async 'up and idle'(peer, options) {
    return { conn: await connect(peer.port, options), link: await peer.nextLink() };
  },
  async 'up with a peer that does not read'(peer, options) {
    const conn = await connect(peer.port, { ...options, maxBufferedAmount: Infinity });
    const link = await peer.nextLink();
    link.pause();
    void conn.write(Buffer.alloc(32 * 1024 * 1024));
    void conn.write('queued');
    await isPending(conn.closed);
    return { conn, link };
  },
  async 'waiting to retry'(peer, options) {
    const conn = await connect(peer.port, { ...options, minUptime: 60_000, retry: { ...options.retry, minTimeout: 60_000 } });
    (await peer.nextLink()).end();
    await next(conn, 'retry');
    return { conn };
  },
  async 'waiting with a backlog'(peer, options) {
    const scene = await states['waiting to retry']!(peer, options);
    void scene.conn.write('backlog');
    return scene;
  },
  async 'ending with a backlog'(peer, options) {
    const scene = await states['waiting with a backlog']!(peer, options);
    void scene.conn.end();
    return scene;
  },
  async 'after the goodbye'(peer, options) {
    const conn = await connect(peer.port, options);
    const link = await peer.nextLink();
    void conn.end();
    await link.ended;
    return { conn, link };
  },
};

const failure = new Error('the end');
type Ending = (scene: Scene, controller: AbortController) => void;

/** Each way of ending that ends it for good. */
const endings: Record<string, Ending> = {
  'end() and destroy()': ({ conn }) => {
    void conn.end();
    conn.destroy();
  },
  'destroy()': ({ conn }) => conn.destroy(),
  'destroy(error)': ({ conn }) => conn.destroy(failure),
  abort: (_scene, controller) => controller.abort(failure),
  'abort and end()': ({ conn }, controller) => {
    controller.abort(failure);
    void conn.end();
  },
  'FIN and destroy()': ({ conn, link }) => {
    link?.end();
    conn.destroy();
  },
  'RST and destroy(error)': ({ conn, link }) => {
    link?.reset();
    conn.destroy(failure);
  },
  'reconnect() and destroy()': ({ conn }) => {
    void conn.reconnect();
    conn.destroy();
  },
  'destroy() in a drop listener of reconnect()': ({ conn }) => {
    conn.once('drop', () => conn.destroy());
    void conn.reconnect();
    setImmediate(() => conn.destroy());
  },
};

/** What the system still holds for this process, but for what the tests themselves use. */
const held = (): string[] => process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Timeout|Immediate/.test(name));

for (const [state, prepare] of Object.entries(states)) {
  for (const [ending, run] of Object.entries(endings)) {
    test(`${state} × ${ending}: nothing pending, nothing unhandled, nothing left`, async () => {
      const unhandled: unknown[] = [];
      const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
      process.on('unhandledRejection', onUnhandled);
      const before = held().length;
      const peer = await Peer.start({ halfOpen: true });
      const controller = new AbortController();
      const scene = await prepare(peer, { ...quick, signal: controller.signal });
      const { conn } = scene;
      const told = record(conn);
      const reading: Promise<unknown> = readText(conn, () => false).catch((error: unknown) => error);
      const write = conn.write('one more').then(() => undefined, (error: { code: string }) => error.code);

      run(scene, controller);

      const outcome = await conn.closed.catch((error: unknown) => error);
      assert.ok(outcome === undefined || outcome === failure, String(outcome));
      const read = await reading;
      assert.ok(read === '' || (read as { code?: string }).code === 'ERR_RECON_READING' || read === outcome, String(read));
      assert.ok([undefined, 'ERR_RECON_CLOSED'].includes(await write));
      assert.is(conn.readyState, 'closed');
      assert.is(conn.bufferedAmount, 0);
      await eventually(() => told.includes('close'));
      assert.is(told.filter((name) => name === 'close').length, 1);
      assert.is(told.includes('error'), outcome === failure);
      assert.is(getEventListeners(controller.signal, 'abort').length, 0);
      // The end() that was cut short says that it was; any other has nothing left to do.
      await conn.end().catch((error: { code: string }) => assert.is(error.code, outcome === undefined ? 'ERR_RECON_CLOSED' : (failure as { code?: string }).code));

      await peer.stop();
      await eventually(() => held().length <= before);
      process.off('unhandledRejection', onUnhandled);
      assert.equal(unhandled, []);
    });
  }

  test(`${state} × end(): settles as soon as what waits can be flushed`, async () => {
    await using peer = await Peer.start();
    const scene = await prepare(peer, { ...quick, closeTimeout: 100 });
    const { conn, link } = scene;
    const backlog = conn.bufferedAmount;
    const ended = conn.end();
    if (backlog > 0) {
      link?.resume();
      if (conn.readyState === 'closing') await conn.reconnect();
    }
    await ended;
    await conn.closed;
  });

  test(`${state} × RST with no hope left: fails with an error, after which nothing is left`, async () => {
    const before = held().length;
    const peer = await Peer.start({ halfOpen: true });
    let hopeless = false;
    const retry = { minTimeout: 1, shouldRetry: () => !hopeless };
    const { conn, link } = await prepare(peer, { ...quick, minUptime: 60_000, connectTimeout: 200, retry });
    hopeless = true;
    if (/waiting|backlog/.test(state)) void conn.reconnect();
    link?.reset();
    await peer.stop();
    await conn.closed.catch((error: Error) => assert.instance(error, Error));
    assert.is(conn.readyState, 'closed');
    await eventually(() => held().length <= before);
  });
}

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
