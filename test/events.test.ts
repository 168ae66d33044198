import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Connection, type Drop, type Link } from 'recon';
import * as assert from 'uvu/assert';
import { next, quick, record, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('events');

test('connect is heard by a listener added right after await connect(), and comes first', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.end() });
  await using conn = await connect(peer.port, { retry: { retries: 0 } });
  const told = record(conn);
  await conn.closed.catch(() => {});
  await eventually(() => told.includes('close'));
  assert.equal(told, ['connect', 'drop', 'error', 'close']);
});

test('events come in order, with their arguments and the state that they tell of', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, '127.0.0.1', quick);
  const told: unknown[] = [];
  conn.on('connect', (link) => told.push(['connect', link.number, conn.readyState]));
  conn.on('drop', ({ link, reason, discarded }) => told.push(['drop', link.number, reason, discarded, conn.readyState]));
  conn.on('retry', ({ attempt, error, delay }) => {
    assert.ok(delay > 0 && delay <= 20);
    told.push(['retry', attempt, (error as { code?: string }).code]);
    if (attempt === 2) void peer.start();
  });
  conn.on('reconnect', (link) => told.push(['reconnect', link.number, conn.readyState]));
  const link = await peer.nextLink();
  link.end();
  await peer.stop();
  await next(conn, 'reconnect');
  assert.equal(told, [
    ['connect', 1, 'open'],
    ['drop', 1, undefined, 0, 'reopening'],
    ['retry', 1, 'ECONNREFUSED'],
    ['retry', 2, 'ECONNREFUSED'],
    ['reconnect', 2, 'open'],
  ]);
  assert.is((conn.stats.lastError as { code: string }).code, 'ECONNREFUSED');
});

test('reconnect has been heard when the promise of reconnect() is fulfilled', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const told: Link[] = [];
  conn.on('reconnect', (link) => told.push(link));
  const link = await conn.reconnect();
  assert.equal(told, [link]);
});

test('drain comes after the reconnect that let the backlog go', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const told = record(conn);
  // An empty write is flushed the moment that the link is up.
  conn.once('drop', () => void conn.write(''));
  (await peer.nextLink()).end();
  await next(conn, 'drain');
  assert.equal(told, ['connect', 'drop', 'reconnect', 'drain']);
});

test('stats.lastError is why a link that lasted was lost, and outlives a plain goodbye', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick);
  const [lost, back] = [next<Drop>(conn, 'drop'), next(conn, 'reconnect')];
  (await peer.nextLink()).reset();
  const { reason } = await lost;
  assert.is(reason?.code, 'ECONNRESET');
  assert.is(conn.stats.lastError, reason);
  await back;
  const left = next<Drop>(conn, 'drop');
  (await peer.nextLink()).end();
  assert.is((await left).reason, undefined);
  assert.is(conn.stats.lastError, reason);
});

test('stats.lastError is the error that ended the connection, whatever came before', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  await peer.stop();
  await next(conn, 'retry');
  const failure = new Error('enough');
  conn.destroy(failure);
  assert.is(conn.stats.lastError, failure);
  assert.is(await rejection(conn.closed), failure);
});

test('stats.lastError: destroy(error) that a lost link leads to stands', async () => {
  await using peer = await Peer.start();
  const failure = new Error('enough');
  const conn: Connection = await connect(peer.port, quick, (link) => void link.socket.on('error', () => conn.destroy(failure)));
  (await peer.nextLink()).reset();
  assert.is(await rejection(conn.closed), failure);
  assert.is(conn.stats.lastError, failure);
});

test('once(conn, event) of node:events works, and rejects when the connection fails', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  const [link] = (await once(conn, 'connect')) as [Link];
  assert.is(link.number, 1);
  assert.is(link.peer, `tcp://localhost:${peer.port}`);
  assert.ok(Math.abs(link.openedAt - Date.now()) < 5_000);
  const waiting = once(conn, 'drain');
  const failure = new Error('enough');
  conn.destroy(failure);
  assert.is(await waiting.catch((error: unknown) => error), failure);
});

test('an error is emitted only to those who listen', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  const closed = once(conn, 'close', { signal: AbortSignal.timeout(5_000) }).catch((error: Error) => error.message);
  conn.destroy(new Error('heard by once()'));
  assert.is(await closed, 'heard by once()');
  const silent = await connect(peer.port);
  silent.destroy(new Error('heard by nobody'));
  await new Promise<void>((resolve) => silent.on('close', resolve));
});

test('the life of a connection is published on diagnostics_channel', async () => {
  const told: string[] = [];
  const names = ['connect', 'drop', 'reconnect', 'close'] as const;
  const details: Record<string, unknown> = {};
  const hear = (name: string) => (message: unknown): void => {
    told.push(name);
    details[name] = message;
  };
  const listeners = names.map((name) => [`recon:${name}`, hear(name)] as const);
  for (const [name, listener] of listeners) subscribe(name, listener);
  {
    await using peer = await Peer.start();
    await using conn = await connect(peer.port, quick);
    (await peer.nextLink()).end();
    await next(conn, 'reconnect');
    for (const [name, number] of [['connect', 1], ['drop', 1], ['reconnect', 2]] as const) {
      const { connection, link } = details[name] as { connection: unknown; link?: Link };
      assert.is(connection, conn, name);
      assert.is(link?.number, number, name);
    }
  }
  await eventually(() => told.includes('close'));
  for (const [name, listener] of listeners) unsubscribe(name, listener);
  assert.equal(told, ['connect', 'drop', 'reconnect', 'close']);
});

test('diagnostics_channel shows a connection that is still opening, and the error that it ends with', async () => {
  const port = await Peer.freePort();
  const told: unknown[] = [];
  const onRetry = (message: unknown): void => {
    const { connection, attempt } = message as { connection: Connection; attempt: number };
    told.push([attempt, connection.readyState]);
  };
  const onError = (message: unknown): void => {
    const { connection, error } = message as { connection: Connection; error: Error };
    told.push([error, connection.readyState]);
  };
  subscribe('recon:retry', onRetry);
  subscribe('recon:error', onError);
  const error = await rejection(connect(port, '127.0.0.1', { retry: { retries: 2, minTimeout: 1 } }));
  unsubscribe('recon:retry', onRetry);
  unsubscribe('recon:error', onError);
  assert.equal(told, [[1, 'opening'], [2, 'opening'], [error, 'closed']]);
});

test('two thousand reconnects leave nothing behind', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
  await using conn = await connect(peer.port, { minUptime: 0, retry: { minTimeout: 0 } });
  let links = 0;
  const count = 2_000;
  const memory: number[] = [];
  const reading = (async () => {
    for await (const link of conn.links()) {
      for await (const chunk of link) {
        assert.is(chunk.toString(), 'hello');
        peer.links.shift()?.end();
      }
      links += 1;
      if (links % 500 === 0) {
        (globalThis.gc as () => void)();
        memory.push(process.memoryUsage().heapUsed);
      }
      if (links === count) break;
    }
  })();
  await reading;
  const [, second, , last] = memory as [number, number, number, number];
  assert.ok(last - second < 2 * 1024 * 1024, `heap at each 500: ${memory.join(', ')}`);
  const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  await eventually(() => sockets() <= 4);
}, 30_000);

test.run();
