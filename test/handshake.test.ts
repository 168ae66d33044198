import { once } from 'node:events';
import { AbortError, connect, type Link, lines } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, isPending, next, quick, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('handshake');

test('onLink talks in messages, on every link, and what it does not read goes to the reader', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.until('AUTH\n').then(() => link.send('+OK\nnews\n')) });
  const replies: string[] = [];
  await using conn = await connect(peer.port, {
    ...quick,
    codec: lines(),
    onLink: async (link) => {
      await link.write('AUTH');
      replies.push(`${link.number}${await link.read()}`);
    },
  });
  const read: string[] = [];
  for await (const line of conn) {
    read.push(line);
    if (read.length === 2) break;
    (await peer.nextLink()).end();
  }
  assert.equal(replies, ['1+OK', '2+OK']);
  assert.equal(read, ['news', 'news']);
});

test('a link.write() that the system has not taken rejects when the link is lost', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  const link = (await conn.links().next()).value!;
  (await peer.nextLink()).pause();
  const written = link.write(Buffer.alloc(32 * 1024 * 1024));
  assert.ok(await isPending(written));
  conn.destroy();
  assert.is(await codeOf(written), 'ERR_RECON_DROPPED');
});

test('link.write() settles in order, also when that takes more than a turn of the event loop', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  const link = (await conn.links().next()).value!;
  const order: number[] = [];
  const numbers = Array.from({ length: 100 }, (_, n) => n);
  await Promise.all(numbers.map((n) => link.write('x').then(() => order.push(n))));
  assert.equal(order, numbers);
});

test('the link of an attempt that failed tells why, to who holds on to it', async () => {
  await using peer = await Peer.start();
  const failure = new Error('no');
  for (const fate of [() => Promise.reject<void>(failure), () => new Promise<void>(() => {})]) {
    let link: Link | undefined;
    const onLink = (given: Link): Promise<void> => {
      link = given;
      return fate();
    };
    const error = await rejection(connect({ port: peer.port, retry: { retries: 0 }, connectTimeout: 20, onLink }));
    assert.is(link!.reason, error);
  }
});

test('link.read() and link.write() reject with ERR_RECON_DROPPED when the link is lost', async () => {
  await using peer = await Peer.start({ onLink: (link) => (peer.links.length === 1 ? link.end() : undefined) });
  const codes: (string | undefined)[] = [];
  let reason: unknown;
  await using conn = await connect(peer.port, {
    ...quick,
    onLink: async (link, { signal }) => {
      if (codes.length > 0) return;
      codes.push(await codeOf(link.read()));
      codes.push(await codeOf(link.write('x')));
      reason = signal.reason;
    },
  });
  assert.equal(codes, ['ERR_RECON_DROPPED', 'ERR_RECON_DROPPED']);
  assert.is((reason as { code: string }).code, 'ERR_RECON_DROPPED');
  assert.is(conn.stats.links, 1);
});

test('an onLink that never ends is given up after connectTimeout, and its signal says so', async () => {
  await using peer = await Peer.start();
  let signal: AbortSignal | undefined;
  const attempt = connect(peer.port, {
    connectTimeout: 20,
    retry: { retries: 0 },
    onLink: (_link, context) => {
      signal = context.signal;
      return new Promise(() => {});
    },
  });
  const error = await rejection(attempt);
  assert.is(error.code, 'ERR_RECON_TIMEOUT');
  assert.is(signal?.reason, error);
  await (await peer.nextLink()).closed;
});

test('an onLink that answers its time-out with an AbortError has failed by ERR_RECON_TIMEOUT, and is tried again', async () => {
  await using peer = await Peer.start();
  const codes: (string | undefined)[] = [];
  const retry = { ...quick.retry, onFailedAttempt: ({ error }: { error: Error & { code?: string } }) => void codes.push(error.code) };
  let calls = 0;
  const onLink = async (_link: Link, { signal }: { signal: AbortSignal }): Promise<void> => {
    if (++calls > 1) return;
    await once(signal, 'abort');
    throw new AbortError('stopped');
  };
  await using _conn = await connect(peer.port, { ...quick, connectTimeout: 50, retry, onLink });
  assert.is(codes[0], 'ERR_RECON_TIMEOUT');
});

test('an AbortError that onLink throws because the peer has hung up ends it at once', async () => {
  for (const hangUp of ['end', 'reset'] as const) {
    await using peer = await Peer.start({ onLink: (link) => void link.until('AUTH').then(() => link[hangUp]()) });
    const refusal = new Error('wrong password');
    const onLink = async (link: Link): Promise<void> => {
      await link.write('AUTH');
      assert.is(await codeOf(link.read()), 'ERR_RECON_DROPPED');
      throw new AbortError(refusal);
    };
    assert.is(await rejection(connect(peer.port, { ...quick, onLink })), refusal);
    assert.is(peer.links.length, 1);
  }
});

test('connect() waits for onLink, and so do later links', async () => {
  await using peer = await Peer.start();
  const told: string[] = [];
  await using conn = await connect(peer.port, {
    ...quick,
    onLink: async (link) => {
      await new Promise((resolve) => setImmediate(resolve));
      told.push(`onLink ${link.number}`);
    },
  });
  told.push('connected');
  conn.on('reconnect', () => told.push('reconnect'));
  const up = next(conn, 'reconnect');
  (await peer.nextLink()).end();
  await up;
  assert.equal(told, ['onLink 1', 'connected', 'onLink 2', 'reconnect']);
});

test('what arrived on a link that was lost in onLink is not lost with it', async () => {
  await using peer = await Peer.start();
  let attempts = 0;
  const connecting = connect(peer.port, {
    ...quick,
    codec: lines(),
    onLink: (_link, { signal }) => {
      attempts += 1;
      if (attempts === 1) return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('lost'))));
      return undefined;
    },
  });
  const first = await peer.nextLink();
  await first.send('early\n');
  first.end();
  await using conn = await connecting;
  await (await peer.nextLink()).send('late\n');
  const read: string[] = [];
  for await (const line of conn) {
    read.push(line);
    if (read.length === 2) break;
  }
  assert.equal(read, ['early', 'late']);
});

test('reads and writes that onLink does not await raise no unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, quick, (link) => {
    void link.read();
    void link.write('x');
    void link.read();
  });
  (await peer.nextLink()).reset();
  await eventually(() => conn.stats.links === 2);
  process.off('unhandledRejection', onUnhandled);
  assert.equal(unhandled, []);
});

test.run();
