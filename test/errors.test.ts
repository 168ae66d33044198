import * as assert from 'uvu/assert';
import { because, withMessage } from '../src/errors.js';
import { suite } from './suite.js';

const test = suite('errors');

test('an error behind another one is told by its message, and anything else that was thrown by its looks', () => {
  assert.is(because(undefined), '');
  assert.is(because(new Error('no such host')), ': no such host');
  assert.is(because('a word'), ": 'a word'");
  assert.is(because(null), ': null');
});

test('an error that is told otherwise stays the same one, and comes from the same place', () => {
  const error = new TypeError('two\n  lines');
  const frames = error.stack!.split('\n').filter((line) => line.startsWith('    at '));
  assert.ok(frames.length > 0);
  assert.is(withMessage(error, 'one line'), error);
  assert.is(error.message, 'one line');
  assert.equal(error.stack!.split('\n'), ['TypeError: one line', ...frames]);
});

test('an error without a stack gets one with the new message', () => {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const without = [new Error('before'), Object.assign(new Error('before'), { stack: undefined }) as Error];
  Error.stackTraceLimit = stackTraceLimit;
  for (const error of without) assert.is(withMessage(error, 'after').stack, 'Error: after');
});

test.run();
