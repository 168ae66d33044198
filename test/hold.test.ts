import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { mock } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { Hold } from '../src/hold.js';
import { deferred } from '../src/promises.js';
import { isPending } from './helpers.js';
import { used } from './memory.js';
import { suite } from './suite.js';

const test = suite('hold');

/** Timers that keep the process running, other than that in which the tests were begun. */
async function timers(): Promise<number> {
  await turn();
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

/** A stream that is connecting and counts its refs as a socket's handle does, and that is closed when it is told so. */
function stream(): { readonly socket: Duplex; readonly close: () => void; readonly refs: string[] } {
  const closing = deferred();
  const refs: string[] = [];
  const socket = new Duplex({ read() {}, destroy: (error, callback) => void closing.promise.then(() => callback(error)) });
  Object.assign(socket, { connecting: true, ref: () => refs.push('ref'), unref: () => refs.push('unref') });
  return { socket, close: closing.resolve, refs };
}

test('keeps the process running from the first to the last, by one timer', async () => {
  const before = await timers();
  const [one, other] = [new Hold(), new Hold()];
  assert.is(await timers(), before + 1);
  await one.release(0);
  assert.is(await timers(), before + 1);
  await other.release(0);
  assert.is(await timers(), before);
});

test("its timer is a real one, also while a test's timers are fake", async () => {
  const before = await timers();
  const hold = new Hold();
  mock.timers.enable({ apis: ['setInterval'] });
  const released = hold.release(0);
  mock.timers.reset();
  await released;
  assert.is(await timers(), before);
});

test('ref() and unref() count once, however often they are called, and not at all in the end', async () => {
  const before = await timers();
  const [one, other] = [new Hold(), new Hold()];
  one.unref();
  one.unref();
  assert.is(await timers(), before + 1, 'the other one holds still');
  one.ref();
  one.ref();
  one.unref();
  await other.release(0);
  assert.is(await timers(), before);
  other.ref();
  assert.is(await timers(), before);
  await one.release(0);
});

test('nothing is kept of whoever came first', async () => {
  const storage = new AsyncLocalStorage<object>();
  const first = (): { hold: Hold; store: WeakRef<object> } => {
    const store = {};
    return { hold: storage.run(store, () => new Hold()), store: new WeakRef(store) };
  };
  const { hold, store } = first();
  const other = new Hold();
  await hold.release(0);
  await turn();
  used();
  assert.is(store.deref(), undefined);
  await other.release(0);
});

test('the socket of the moment follows, the next one too, and at each address that it tries', async () => {
  const hold = new Hold();
  const [first, second] = [stream(), stream()];
  hold.track(first.socket);
  hold.unref();
  hold.ref();
  hold.unref();
  hold.track(second.socket);
  second.socket.emit('connectionAttempt');
  assert.equal([first.refs, second.refs], [['unref', 'ref', 'unref'], ['unref', 'unref']]);
  second.socket.emit('ready');
  assert.is(second.socket.listenerCount('connectionAttempt'), 0, 'a connected one makes no more handles');
  await hold.release(1);
});

test('is released when its socket is closed, which may take a while after it was destroyed', async () => {
  const hold = new Hold();
  const { socket, close } = stream();
  hold.track(socket);
  socket.destroy();
  const released = hold.release(5_000);
  assert.ok(await isPending(released));
  const closed = once(socket, 'close');
  close();
  await closed;
  await released;
});

test('is released when its socket was closed long ago, also where the socket cannot be asked', async () => {
  const hold = new Hold();
  const { socket, close } = stream();
  Object.defineProperty(socket, 'closed', { value: undefined });
  hold.track(socket);
  close();
  await once(socket.destroy(), 'close');
  assert.not(await isPending(hold.release(60_000)));
});

test('gone() waits for a socket to emit close, and not for ever', async () => {
  for (const emits of [true, false]) {
    const hold = new Hold();
    const socket = new net.Socket();
    hold.track(socket);
    if (!emits) socket.removeAllListeners('close').emit = () => false;
    socket.destroy();
    await hold.release(5_000);
    let isClosed = false;
    socket.on('close', () => (isClosed = true));
    await hold.gone();
    assert.is(isClosed, emits);
  }
});

test('waits no longer than it is told for a socket that is never closed', async () => {
  const before = await timers();
  const hold = new Hold();
  hold.track(stream().socket.destroy());
  await hold.release(5);
  assert.is(await timers(), before);
});

test.run();
