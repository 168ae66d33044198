import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { Deadline } from '../src/deadline.js';
import { deferred } from '../src/promises.js';
import { Writer } from '../src/writer.js';
import { suite } from './suite.js';

const test = suite('writer');

test('a link that is lost before it hears that the system took its bytes is watched no more', async () => {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
  const stalled = new Deadline(1, () => assert.unreachable());
  let isArmed = false;
  stalled.arm = () => (isArmed = true);
  let taken = 0;
  const never = (): void => assert.unreachable();
  const host = { onTaken: (bytes: number) => void (taken += bytes), destroy: never, onThrown: never };
  const writer = new Writer(socket, host, { isNetSocket: false, stalled });
  writer.write([{ data: 'hello', length: 5 }], () => {});
  assert.ok(isArmed);
  socket.destroy();
  isArmed = false;
  await turn();
  assert.is(taken, 5, 'it heard of it');
  assert.not(isArmed);
});

test('a stream that goes without a word fails the next write, with a deadline as without one', async () => {
  for (const deadline of [undefined, new Deadline(10_000, () => assert.unreachable())]) {
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback(), emitClose: false });
    const lost = deferred<unknown>();
    const never = (): void => assert.unreachable();
    const writer = new Writer(socket, { onTaken: never, destroy: lost.resolve, onThrown: never }, { isNetSocket: false, stalled: deadline });
    socket.destroy();
    writer.write([{ data: 'hello', length: 5 }], never);
    assert.is(((await lost.promise) as { code: string }).code, 'ERR_STREAM_DESTROYED');
  }
});

test.run();
