import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as assert from 'uvu/assert';
import { Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('process');

/** Runs a script that has `connect` and the port of a server, and tells how it ended. */
async function script(body: string, port: number, signal?: NodeJS.Signals): Promise<{ code: number | null; out: string; err: string }> {
  const source = `import { connect, lines } from './dist/index.js';\nconst port = ${port};\n${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
    if (signal && out.includes('ready')) child.kill(signal);
  });
  child.stderr.on('data', (chunk) => (err += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

test('a script that is done exits', async () => {
  await using peer = await Peer.start({ echo: true });
  const { code, out, err } = await script(
    `const conn = await connect(port);
     await conn.write('ping');
     for await (const chunk of conn) { console.log(chunk.toString()); break; }
     await conn.end();`,
    peer.port,
  );
  assert.equal({ code, out, err }, { code: 0, out: 'ping\n', err: '' });
});

test('waiting for a server keeps the process running, until it is told otherwise', async () => {
  const port = await Peer.freePort();
  const { code, err } = await script(
    `setTimeout(() => process.exit(3), 300).unref();
     await connect(port, { retry: { minTimeout: 60_000 } });`,
    port,
  );
  assert.equal({ code, err }, { code: 3, err: '' });
});

for (const [state, before] of [
  ['up', ''],
  ['waiting to retry', `const { once } = await import('node:events'); await conn.write('drop'); await once(conn, 'retry');`],
]) {
  test(`unref() lets the process exit while ${state}, ref() keeps it`, async () => {
    await using peer = await Peer.start({ onLink: (link) => void link.until('drop').then(() => link.end()) });
    const prepare = `const conn = await connect(port, { retry: { minTimeout: 60_000 } }); ${before}`;
    const unrefed = await script(`${prepare} conn.unref();`, peer.port);
    assert.equal(unrefed, { code: 0, out: '', err: '' });
    const refed = await script(`setTimeout(() => process.exit(3), 300).unref(); ${prepare} conn.unref().ref();`, peer.port);
    assert.equal(refed, { code: 3, out: '', err: '' });
  });
}

test('writes that nobody awaits do not end the process when the connection fails', async () => {
  const port = await Peer.freePort();
  await using peer = await Peer.start({ port });
  const { code, out, err } = await script(
    `const conn = await connect(port, { retry: { retries: 1, minTimeout: 1 }, maxBufferedAmount: 8 });
     conn.on('close', () => console.log('close'));
     const first = conn.write('x');
     await first;
     conn.write(42); conn.write('far too much'); conn.end(42); conn.reconnect(); conn.destroy(new Error('gone')); conn.write('y'); conn.end();`,
    peer.port,
  );
  assert.equal({ code, out, err }, { code: 0, out: 'close\n', err: '' });
});

test('an error thrown by a listener is the program’s own, and is seen', async () => {
  await using peer = await Peer.start();
  const { code, err } = await script(
    `const conn = await connect(port);
     conn.on('connect', () => { throw new Error('a mistake of mine'); });`,
    peer.port,
  );
  assert.is(code, 1);
  assert.match(err, 'a mistake of mine');
});

test('an unhandled failure of connect() reads like what happened', async () => {
  const port = await Peer.freePort();
  const { code, err } = await script(`await connect(port, '127.0.0.1', { retry: { retries: 0 } });`, port);
  assert.is(code, 1);
  assert.match(err, 'ECONNREFUSED');
});

/** What `NODE_DEBUG=recon` says of a script that has a connection to a server on this port. */
async function debugged(port: number, body: string): Promise<string> {
  const source = `import { connect } from './dist/index.js';\nconst conn = await connect(${port}); ${body}`;
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', source], { env: { ...process.env, NODE_DEBUG: 'recon' } }, (_error, _out, text) =>
      resolve(text),
    );
  });
}

test('NODE_DEBUG=recon tells the life of a connection on stderr, and of writes that were refused', async () => {
  await using peer = await Peer.start();
  const err = await debugged(peer.port, 'conn.write(42); await conn.end();');
  assert.match(err, new RegExp(`connect link 1 to tcp://localhost:${peer.port}`));
  assert.match(err, 'write refused: recon: data must be');
  assert.match(err, 'close');
});

test.run();
