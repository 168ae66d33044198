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

test('NODE_DEBUG=recon tells the life of a connection on stderr, and of writes that were refused', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.until('drop').then(() => peer.stop()) });
  const source = `
    import { once } from 'node:events';
    import { connect } from './src/index.js';
    const conn = await connect(${peer.port}, '127.0.0.1', { minUptime: 0, retry: { minTimeout: 60_000 } });
    const retried = once(conn, 'retry');
    conn.write(42);
    conn.write('x', { signal: AbortSignal.abort('late') });
    await conn.write('drop');
    await retried;
    conn.destroy(process.argv.at(-1) === 'error' ? new Error('enough') : 'enough');`;
  const { port } = peer;
  for (const kind of ['error', 'string']) {
    const err = await new Promise<string>((resolve) => {
      const args = ['--import', 'tsx', '--input-type=module', '-e', source, kind];
      execFile(process.execPath, args, { env: { ...process.env, NODE_DEBUG: 'recon' } }, (_error, _out, text) => resolve(text));
    });
    assert.match(err, `connect link 1 to tcp://127.0.0.1:${port}`);
    assert.match(err, 'write refused: recon: data must be');
    assert.match(err, "write refused: 'late'");
    assert.match(err, `drop link 1 to tcp://127.0.0.1:${port}, reason: undefined, discarded: 0`);
    assert.match(err, new RegExp(`retry attempt: 1, error: connect ECONNREFUSED 127.0.0.1:${port}, delay: \\d+`));
    assert.match(err, kind === 'error' ? 'error enough' : "error 'enough'");
    assert.match(err, 'close');
    await peer.start();
  }
});

test.run();
