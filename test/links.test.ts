import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { connect, type Link, type Retry } from 'recon';
import * as assert from 'uvu/assert';
import { next, quick, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('links');

test('an attempt whose failure shouldConsumeRetry forgives is repeated without a wait, and uses up no retry', async () => {
  await using peer = await Peer.start();
  const consumed: number[] = [];
  const shouldConsumeRetry = ({ retriesConsumed }: { retriesConsumed: number }): boolean => consumed.push(retriesConsumed) > 3;
  const retry = { retries: 1, minTimeout: 60_000, maxTimeout: 60_000, randomize: false, shouldConsumeRetry };
  const conn = await connect(peer.port, '127.0.0.1', { minUptime: 0, retry });
  const delays: number[] = [];
  conn.on('retry', ({ delay }: Retry) => delays.push(delay));
  await peer.stop();
  await eventually(() => delays.length === 4);
  assert.equal(delays, [0, 0, 0, 60_000]);
  assert.equal(consumed, [0, 0, 0, 0]);
  conn.destroy();
  await conn.closed;
});

test('a factor of 0 is one of 1, as p-retry has it: each wait is as long as the first', async () => {
  const retry = { retries: 3, minTimeout: 2, factor: 0, randomize: false };
  await using peer = await Peer.start();
  const conn = await connect(peer.port, '127.0.0.1', { minUptime: 0, retry });
  const delays: number[] = [];
  conn.on('retry', ({ delay }: Retry) => delays.push(delay));
  await peer.stop();
  assert.is((await rejection(conn.closed)).code, 'ECONNREFUSED');
  assert.equal(delays, [2, 2, 2]);
});

test('a link that was lost with what is no Error is told as lost with that', async () => {
  const dial = (): Duplex => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    setImmediate(() => stream.destroy('the weather' as unknown as Error));
    return stream;
  };
  const conn = await connect({ dial, retry: { retries: 0 } });
  const error = await rejection(conn.closed);
  assert.is(error.code, 'ERR_RECON_DROPPED');
  assert.match(error.message, 'the weather');
  assert.is(error.cause, 'the weather');
});

test('stats.lastError: the goodbye of a link that did not last is a failed attempt, as for retry and closed', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.end() });
  const conn = await connect(peer.port, { retry: { retries: 2, minTimeout: 1 } });
  const told: unknown[] = [];
  conn.on('retry', ({ error }) => told.push(error === conn.stats.lastError));
  const error = await rejection(conn.closed);
  assert.is(error.code, 'ERR_RECON_DROPPED');
  assert.is(conn.stats.lastError, error);
  assert.equal(told, [true, true]);
});

test('many failed attempts in a row are no leak to be warned of', async () => {
  const warnings: Error[] = [];
  const hear = (warning: Error): void => void warnings.push(warning);
  process.on('warning', hear);
  const failure = new Error('not today');
  const attempt = connect({ dial: () => Promise.reject(failure), retry: { retries: 20, minTimeout: 1, maxTimeout: 1 } });
  assert.is(await rejection(attempt), failure);
  await turn();
  process.off('warning', hear);
  assert.equal(warnings, []);
});

test('stats.lastError: an attempt that reconnect() calls off has not failed', async () => {
  await using peer = await Peer.start();
  let greeted = 0;
  const onLink = (): unknown => (++greeted === 2 ? new Promise(() => {}) : undefined);
  await using conn = await connect(peer.port, { ...quick, onLink });
  (await peer.nextLink()).end();
  await eventually(() => greeted === 2);
  await conn.reconnect();
  assert.is(conn.stats.lastError, undefined);
});

/** Runs it after so many microtasks. */
async function after(microtasks: number, run: () => void): Promise<void> {
  for (let count = 0; count < microtasks; count++) await undefined;
  run();
}

test('aborted at any moment around the one in which a link comes up, it leaves no socket behind', async () => {
  await using peer = await Peer.start();
  const enough = new Error('enough');
  for (let moment = 0; moment < 40; moment++) {
    const controller = new AbortController();
    const onLink = (): void => void after(moment, () => controller.abort(enough));
    const ended = connect(peer.port, { ...quick, signal: controller.signal, onLink }).then((conn) => conn.closed);
    assert.is(await rejection(ended), enough, `after ${moment} microtasks`);
    await (await peer.nextLink()).closed;
  }
  assert.is(peer.links.length, 40);
});

test('lost at any moment around the one in which it comes up, a link was up or is a failed attempt', async () => {
  await using peer = await Peer.start();
  const ups: number[] = [];
  for (let moment = 0; moment < 40; moment++) {
    let [greeted, failed] = [0, 0];
    const onFailedAttempt = (): void => void (failed += 1);
    const onLink = ({ socket }: Link): void => void (++greeted === 1 && after(moment, () => socket.emit('error', new Error('lost'))));
    await using conn = await connect(peer.port, { minUptime: 0, retry: { minTimeout: 1, onFailedAttempt }, onLink });
    if (greeted === 1) {
      ups.push(moment);
      await next(conn, 'reconnect');
    }
    assert.equal([conn.stats.links, greeted, failed], failed === 0 ? [2, 2, 0] : [1, 2, 1], `after ${moment} microtasks`);
  }
  assert.ok(ups.length > 0 && ups.length < 40, 'neither always nor never');
});

for (const how of ['end', 'destroy'] as const) {
  test(`${how}() at any moment around the one in which the next link comes up ends it`, async () => {
    await using peer = await Peer.start();
    for (let moment = 0; moment < 40; moment++) {
      let count = 0;
      const onLink = (): void => void (++count === 2 && after(moment, () => void conn[how]()));
      const conn = await connect(peer.port, { ...quick, onLink });
      const next = conn.reconnect().catch(() => {});
      const writing = how === 'destroy' ? conn.write('pending').catch(() => {}) : undefined;
      await Promise.all([conn.closed, next, writing]);
      await Promise.all(peer.links.map(({ closed }) => closed));
    }
  });
}

test.run();
