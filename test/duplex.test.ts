import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect } from 'recon';
import * as assert from 'uvu/assert';
import { next, quick } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('duplex');

/** What the end of a stream tells, in order. */
function recordEnd(stream: Duplex): string[] {
  const told: string[] = [];
  for (const name of ['finish', 'end', 'error', 'close']) stream.on(name, () => told.push(name));
  return told;
}

test('a stream that is only read ends, and closes, when somebody else ends the connection', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
  const conn = await connect(peer.port);
  const stream = conn.stream();
  const said: string[] = [];
  stream.on('data', (chunk) => said.push(String(chunk))).on('end', () => said.push('end'));
  await eventually(() => said.length === 1);
  const closed = once(stream, 'close');
  await conn.end();
  await closed;
  assert.equal(said, ['hello', 'end']);
  assert.is(stream.errored, null);
});

test('a stream that is read only after the connection has ended ends and closes, too', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
  const conn = await connect(peer.port);
  const stream = conn.stream();
  await eventually(() => conn.stats.bytesRead === 5);
  await conn.end();
  const closed = once(stream, 'close');
  assert.is(String(Buffer.concat(await stream.toArray())), 'hello');
  await closed;
});

test('a stream that is only written to finishes before it closes', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port);
  const stream = conn.stream();
  const told = recordEnd(stream);
  stream.end('bye');
  await eventually(() => told.includes('close'));
  assert.equal(told, ['finish', 'close']);
});

test('a stream whose end() cannot be kept fails, and does not finish', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  const stream = conn.stream();
  const told = recordEnd(stream);
  await peer.stop();
  await next(conn, 'drop');
  void conn.write('never flushed');
  stream.end();
  await eventually(() => conn.readyState === 'closing');
  conn.destroy();
  await eventually(() => told.includes('close'));
  assert.equal(told, ['error', 'close']);
});

test.run();
