import * as assert from 'uvu/assert';
import { Deadline } from '../src/deadline.js';
import { deferred } from '../src/promises.js';
import { suite } from './suite.js';

const test = suite('deadline');

/** A deadline, and a way to wait until it has passed. The process is kept running meanwhile: it doesn't do that itself. */
function awaited(milliseconds: number, note: () => void = () => {}): { deadline: Deadline; passed: () => Promise<void> } {
  let waiting = deferred();
  const deadline = new Deadline(milliseconds, () => {
    note();
    waiting.resolve();
  });
  const passed = async (): Promise<void> => {
    const hold = setInterval(() => {}, 1_000);
    await waiting.promise;
    clearInterval(hold);
    waiting = deferred();
  };
  return { deadline, passed };
}

/** Lets the clock go on, and no timer fire. */
function spin(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

test('a deadline passes once each time it is armed', async () => {
  let count = 0;
  const { deadline, passed } = awaited(5, () => (count += 1));
  for (const expected of [1, 2, 3]) {
    deadline.arm();
    await passed();
    assert.is(count, expected);
  }
});

test('arming it again starts its time anew', async () => {
  const order: string[] = [];
  const first = awaited(20, () => order.push('first'));
  const second = awaited(20, () => order.push('second'));
  first.deadline.arm();
  second.deadline.arm();
  spin(5);
  first.deadline.arm();
  await Promise.all([first.passed(), second.passed()]);
  assert.equal(order, ['second', 'first']);
});

test('disarmed, or of 0 ms, it never passes; and it can be armed again', async () => {
  const { deadline, passed } = awaited(5);
  const disarmed = new Deadline(1, () => assert.unreachable('disarmed'));
  const never = new Deadline(0, () => assert.unreachable('never'));
  disarmed.arm();
  disarmed.disarm();
  disarmed.disarm();
  never.arm();
  never.arm();
  deadline.arm();
  deadline.disarm();
  deadline.arm();
  await passed();
});

test('a deadline does not keep the process running', () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const deadline = new Deadline(60_000, () => {});
  deadline.arm();
  deadline.arm();
  assert.is(timers(), before);
  deadline.disarm();
});

test.run();
