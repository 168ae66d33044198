import { once } from 'node:events';
import { connect } from 'recon';
import * as assert from 'uvu/assert';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('duplex');

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

test('it does so also when it is read only after the connection has ended', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hello') });
  const conn = await connect(peer.port);
  const stream = conn.stream();
  await eventually(() => conn.stats.bytesRead === 5);
  await conn.end();
  const closed = once(stream, 'close');
  assert.is(String(Buffer.concat(await stream.toArray())), 'hello');
  await closed;
});

test.run();
