import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('examples');

/** An example that runs, and what it has said so far. */
function run(name: string, ...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', `examples/${name}.ts`, ...args], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (said.out += chunk));
  child.stderr.on('data', (chunk) => (said.err += chunk));
  const over = once(child, 'close') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  return { child, said, over };
}

test('demo: prints a timeline with every kind of event, loses nothing, and ends by itself', async () => {
  const { said, over } = run('demo');
  assert.equal(await over, [0, null], said.err);
  for (const word of ['connected', 'link dropped', 'retry', 'queued', 'reconnected', 'flushed', 'ended', 'Nothing was lost']) {
    assert.match(said.out, word);
  }
}, 20_000);

test('stayin-alive: prints what one server says, and the next one', async () => {
  await using peer = await Peer.start();
  const { child, said, over } = run('stayin-alive', String(peer.port));
  await (await peer.nextLink()).send('everybody stop\n');
  await eventually(() => said.out === 'everybody stop\n');
  await peer.stop();
  await eventually(() => said.err.includes('dropped'));
  await peer.start();
  await (await peer.nextLink()).send('hammertime\n');
  await eventually(() => said.out === 'everybody stop\nhammertime\n');
  child.kill('SIGINT');
  assert.equal(await over, [null, 'SIGINT']);
});

test('request-response: every question is answered, over a server that hangs up', async () => {
  const { said, over } = run('request-response');
  assert.equal(await over, [0, null], said.err);
  assert.match(said.out, '7 questions, all answered');
}, 30_000);

test('log-shipper: ships every line of stdin across a restart of the server', async () => {
  await using peer = await Peer.start();
  const { child, said, over } = run('log-shipper', `127.0.0.1:${peer.port}`);
  child.stdin.write('one\ntwo\n');
  const link = await peer.nextLink();
  await link.until('two\n');
  await peer.stop();
  await eventually(() => said.err.includes('dropped'));
  child.stdin.end('three\nfour');
  await sleep(50);
  await peer.start();
  await (await peer.nextLink()).until('three\nfour\n');
  assert.equal(await over, [0, null], said.err);
});

test('log-shipper: gives up after a while when it is told to stop, and says what it leaves', async () => {
  await using peer = await Peer.start();
  const { child, said, over } = run('log-shipper', `127.0.0.1:${peer.port}`);
  await peer.nextLink();
  await peer.stop();
  await eventually(() => said.err.includes('dropped'));
  child.stdin.write('one\n');
  await sleep(50);
  child.kill('SIGTERM');
  assert.equal(await over, [1, null]);
  assert.match(said.err, '4 bytes not shipped');
}, 15_000);

test.run();
