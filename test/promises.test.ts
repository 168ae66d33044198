import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { allowListeners, deferred, handled, rejected, within } from '../src/promises.js';
import { isPending, rejection } from './helpers.js';
import { suite } from './suite.js';

const test = suite('promises');
const failure = new Error('failure');
const reason = new Error('reason');

/** The rejections that nobody heard while `run` ran, and after. */
async function unheard(run: () => unknown): Promise<unknown[]> {
  const reasons: unknown[] = [];
  const hear = (error: unknown): void => void reasons.push(error);
  process.on('unhandledRejection', hear);
  try {
    await run();
    await turn();
    return reasons;
  } finally {
    process.off('unhandledRejection', hear);
  }
}

test('allowListeners: a signal of somebody else, which knows no limit, is left as it is', () => {
  allowListeners({} as AbortSignal);
});

test('deferred: a promise is settled from outside, once', async () => {
  const good = deferred<number>();
  assert.ok(await isPending(good.promise));
  good.resolve(1);
  good.reject(failure);
  assert.is(await good.promise, 1);
  const bad = deferred();
  bad.reject(failure);
  bad.resolve();
  assert.is(await rejection(bad.promise), failure);
});

test('handled, rejected: who awaits gets the rejection; if nobody does, it is no unhandled one', async () => {
  assert.equal(await unheard(() => void Promise.reject(failure)), [failure], 'the test itself hears one');
  assert.equal(await unheard(() => void handled(Promise.reject(failure))), []);
  assert.equal(await unheard(() => void rejected(failure)), []);
  const promise = Promise.reject(failure);
  assert.is(handled(promise), promise);
  assert.is(await rejection(promise), failure);
  assert.is(await rejection(rejected(failure)), failure);
});

test('within: brings what the work brings, in time', async () => {
  const { signal } = new AbortController();
  assert.is(await within(signal, 1), 1);
  assert.is(await within(signal, Promise.resolve(2)), 2);
  assert.is(await rejection(within(signal, rejected(failure))), failure);
});

test('within: an abort rejects with its reason, though the work knows nothing of it', async () => {
  const aborter = new AbortController();
  const waiting = within(aborter.signal, new Promise(() => {}));
  assert.ok(await isPending(waiting));
  aborter.abort(reason);
  assert.is(await rejection(waiting), reason);
  assert.is(await rejection(within(aborter.signal, 1)), reason);
});

test('within: what the work brings too late is handed over, and a late failure is nobody’s', async () => {
  const before = deferred<string>();
  const after = deferred<string>();
  const late: string[] = [];
  const aborter = new AbortController();
  const all = [
    within(aborter.signal, before.promise, (value) => late.push(value)),
    (aborter.abort(reason), within(aborter.signal, after.promise, (value) => late.push(value))),
    within(aborter.signal, 'at once', (value) => late.push(value)),
  ];
  for (const each of all) assert.is(await rejection(each), reason);
  before.resolve('aborted meanwhile');
  after.resolve('aborted before');
  await turn();
  assert.equal(late.sort(), ['aborted before', 'aborted meanwhile', 'at once']);
  assert.equal(await unheard(() => rejection(within(aborter.signal, Promise.reject(failure)))), []);
});

test('within: what comes in time is not handed over as late, whatever the signal does then', async () => {
  const aborter = new AbortController();
  const late: string[] = [];
  assert.is(await within(aborter.signal, 'in time', (value) => late.push(value)), 'in time');
  aborter.abort(reason);
  await turn();
  assert.equal(late, []);
});

test('within: the signal is left as it was', async () => {
  const aborter = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = aborter.signal;
  aborter.signal.addEventListener = (...args: any[]) => (listeners++, addEventListener.apply(aborter.signal, args as never));
  aborter.signal.removeEventListener = (...args: any[]) => (listeners--, removeEventListener.apply(aborter.signal, args as never));
  await within(aborter.signal, 1);
  await rejection(within(aborter.signal, rejected(failure)));
  await turn();
  assert.is(listeners, 0);
});

test.run();
