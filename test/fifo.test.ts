import * as assert from 'uvu/assert';
import { Fifo } from '../src/fifo.js';
import { held } from './memory.js';
import * as random from './random.js';
import { suite } from './suite.js';

const test = suite('fifo');

test('a queue is as an array that is pushed, shifted, popped, filtered and put in front of, whatever the order', () => {
  for (let round = 0; round < 50; round++) {
    const fifo = new Fifo<number | undefined>();
    const array: (number | undefined)[] = [];
    // Grows to some length, shrinks again, and is often empty.
    for (const growth of [0.9, 0.3, 0.5, 0.1]) {
      for (let step = random.between(0, 2_000); step > 0; step--) {
        const item = random.chance(0.1) ? undefined : step;
        if (random.chance(growth)) assert.is(fifo.push(item), void array.push(item));
        else if (random.chance(0.8)) assert.is(fifo.shift(), array.shift());
        else assert.is(fifo.pop(), array.pop());
        if (random.chance(0.01)) {
          const items = random.list(random.between(0, 3), () => -step);
          fifo.unshift(items);
          array.unshift(...items);
        } else if (random.chance(0.01)) {
          const isWanted = (item: number | undefined): boolean => item === undefined || item % 3 !== 0;
          fifo.retain(isWanted);
          array.splice(0, array.length, ...array.filter(isWanted));
        }
        assert.is(fifo.length, array.length);
        assert.is(fifo.first, array[0]);
        assert.is(fifo.last, array.at(-1));
      }
    }
  }
});

test('what happens to one is nothing to another', () => {
  const one = new Fifo<string>();
  const other = new Fifo<string>();
  one.clear();
  one.unshift([]);
  one.retain(() => true);
  one.shift();
  one.pop();
  one.push('a');
  one.unshift(['b']);
  assert.is(other.length, 0);
  assert.is(new Fifo().length, 0);
  assert.equal(one.clear(), ['b', 'a']);
});

test('a long one is shifted as fast as a short one', () => {
  const fifo = new Fifo<number>();
  const count = 400_000;
  for (let item = 0; item < count; item++) fifo.push(item);
  const started = performance.now();
  for (let item = 0; item < count; item++) assert.ok(fifo.shift() === item);
  assert.ok(performance.now() - started < 2_000);
});

test('a queue holds on to nothing that was taken', () => {
  const bytes = held(() => {
    const fifo = new Fifo<Uint8Array>();
    for (let count = 0; count < 500; count++) fifo.push(new Uint8Array(64 * 1024));
    for (let count = 0; count < 499; count++) fifo.shift();
    return fifo;
  });
  assert.ok(bytes < 512 * 1024, `${bytes} bytes are held`);
});

test('a queue does not grow while as much is taken as is put', () => {
  const bytes = held(() => {
    const fifo = new Fifo<number>();
    fifo.push(0);
    for (let count = 0; count < 300_000; count++) {
      fifo.push(count);
      fifo.shift();
    }
    return fifo;
  });
  assert.ok(bytes < 128 * 1024, `${bytes} bytes are held`);
});

test.run();
