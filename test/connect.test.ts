import { once } from 'node:events';
import net from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import { connect, type ConnectOptions, lines, ReconError } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, inFolder, isPending, next, quick, readText, rejection } from './helpers.js';
import { Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('connect');

test('resolves when the first link is up', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port);
  assert.is(conn.readyState, 'open');
  assert.is(conn.stats.links, 1);
});

test('waits for a server that is down at the start', async () => {
  const port = await Peer.freePort();
  const connecting = connect(port, quick);
  await using peer = await Peer.start({ port });
  await using conn = await connecting;
  await conn.write('hello');
  await (await peer.nextLink()).until('hello');
});

test('takes its arguments in any order', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('hi\n') });
  const onLink = (): void => {
    called += 1;
  };
  const options = { codec: lines() };
  let called = 0;
  const forms = [
    [peer.port, '127.0.0.1', onLink, options],
    [options, onLink, '127.0.0.1', peer.port],
    [onLink, String(peer.port), options],
    [`tcp://127.0.0.1:${peer.port}`, onLink, options],
    [new URL(`tcp://127.0.0.1:${peer.port}`), options, onLink],
    [`127.0.0.1:${peer.port}`, options, onLink],
    [{ port: peer.port, host: '127.0.0.1', onLink, ...options }],
    [{ port: 1, ...options }, onLink, peer.port],
  ];
  for (const form of forms) {
    await using conn = await connect<string, string>(...form);
    for await (const line of conn) {
      assert.is(line, 'hi');
      break;
    }
  }
  assert.is(called, forms.length);
});

test('connects to a Unix socket', async () => {
  await inFolder(async (path) => {
    await using peer = await Peer.start({ path, echo: true });
    for (const address of [`unix:${path}`, new URL(`unix:${path}`), { path }]) {
      await using conn = await connect(address as string);
      await conn.write('ping');
      assert.is(await readText(conn, (text) => text.length === 4), 'ping');
    }
    assert.is(peer.links.length, 3);
  });
});

test('connects over IPv6', async () => {
  await using peer = await Peer.start({ host: '::1', echo: true });
  for (const address of [`[::1]:${peer.port}`, `tcp://[::1]:${peer.port}`]) {
    await using conn = await connect(address);
    await conn.write('ping');
    assert.is(await readText(conn, (text) => text.length === 4), 'ping');
  }
});

test('rejects bad input at once, names the option, shows the value, and dials nothing', async () => {
  await using peer = await Peer.start();
  const { port } = peer;
  const bad: [args: unknown[], kind: typeof TypeError | typeof RangeError, ...words: string[]][] = [
    [[], TypeError, 'port'],
    [['localhost'], TypeError, 'port', 'localhost'],
    [[70_000], RangeError, 'port', '70000'],
    [['70000'], RangeError, 'port', '70000'],
    [[-1], RangeError, 'port', '-1'],
    [[1.5], RangeError, 'port', '1.5'],
    [[NaN], RangeError, 'port', 'NaN'],
    [[null], TypeError, 'null'],
    [[true], TypeError, 'true'],
    [[port, null], TypeError, 'null'],
    [[port, []], TypeError, '[]'],
    [[{ port: null }], TypeError, 'port', 'null'],
    [['http://localhost:80'], TypeError, 'http'],
    [['tcp://localhost'], TypeError, 'tcp://localhost'],
    [[port, { hots: 'x' }], TypeError, 'hots', 'x'],
    [[port, { highWaterMark: 'x' }], TypeError, 'highWaterMark', 'x'],
    [[port, { highWaterMark: -1 }], RangeError, 'highWaterMark', '-1'],
    [[port, { minUptime: NaN }], RangeError, 'minUptime', 'NaN'],
    [[port, { retry: { retries: -1 } }], RangeError, 'retry.retries', '-1'],
    [[port, { retry: { minTimeuot: 1 } }], TypeError, 'retry.minTimeuot', '1'],
    [[port, { signal: {} }], TypeError, 'signal', '{}'],
    [[port, { unflushed: 'keep' }], TypeError, 'unflushed', 'keep'],
    [[port, { onLink: 1 }], TypeError, 'onLink', '1'],
    [[port, { codec: 'lines' }], TypeError, 'codec', 'lines'],
    [[port, { discard: 1 }], TypeError, 'discard', '1'],
    [[port, { host: 'tcp://x' }], TypeError, 'host', 'tcp://x'],
    [[port, { retry: { factor: Infinity } }], RangeError, 'retry.factor', 'Infinity'],
    [[port, new AbortController().signal], TypeError, 'options', 'AbortSignal'],
    [[port, { tls: { key: 'garbage' } }], TypeError, 'tls'],
    [[port, { tls: { servername: 5 } }], TypeError, 'tls.servername', '5'],
    [[port, { tls: { servername: null } }], TypeError, 'tls.servername', 'null'],
    [[port, { tls: { session: 'x' } }], TypeError, 'tls.session', 'x'],
    [[port, { tls: { lookup: 5 } }], TypeError, 'tls.lookup', '5'],
    [[port, { heartbeat: { interval: 1, message: 42 } }], TypeError, 'heartbeat.message', '42'],
    [[{ endpoints: ['localhost:1', 'tcp://x'] }], TypeError, 'endpoints[1]', 'tcp://x'],
    [[{ endpoints: [70_000] }], RangeError, 'endpoints[0]', '70000'],
    [[new URL('unix:/tmp/%zz')], TypeError, 'address', '%zz'],
  ];
  for (const [args, kind, ...words] of bad) {
    const error = await rejection((connect as (...args: unknown[]) => Promise<unknown>)(...args));
    assert.instance(error, kind, `${JSON.stringify(args)}: ${error}`);
    for (const word of words) assert.match(error.message, word);
  }
  assert.is(peer.links.length, 0);
});

test('rejects with the reason of a signal that has already aborted, and dials nothing', async () => {
  await using peer = await Peer.start();
  const reason = new Error('too late');
  assert.is(await rejection(connect(peer.port, { signal: AbortSignal.abort(reason) })), reason);
  assert.is(peer.links.length, 0);
});

test('dials what a custom dial brings, still connecting or promised, with the attempt and a signal', async () => {
  await using peer = await Peer.start({ echo: true });
  const attempts: number[] = [];
  await using conn = await connect({
    ...quick,
    dial: ({ attempt, signal }) => {
      attempts.push(attempt);
      assert.instance(signal, AbortSignal);
      if (attempt === 1) return net.connect(1, '127.0.0.1');
      if (attempt === 2) return Promise.reject(new Error('no address'));
      return net.connect(peer.port, '127.0.0.1');
    },
  });
  assert.equal(attempts, [1, 2, 3]);
  await conn.write('ping');
  assert.is(await readText(conn, (text) => text.length === 4), 'ping');
});

test('rejects with the reason of a signal that is aborted in the very first dial', async () => {
  for (const dial of [
    (): Duplex => new PassThrough(),
    async (): Promise<Duplex> => new PassThrough(),
    (): Duplex => {
      throw new Error('refused');
    },
  ]) {
    const abort = new AbortController();
    const reason = new Error('nobody to call');
    const dialling = (): Duplex | Promise<Duplex> => {
      abort.abort(reason);
      return dial();
    };
    assert.is(await rejection(connect({ dial: dialling, signal: abort.signal })), reason);
  }
});

test('ends at once when dial brings what is no stream', async () => {
  const error = await rejection(connect({ dial: () => 42 as never }));
  assert.instance(error, TypeError);
  assert.match(error.message, 'dial');
});

test('takes the endpoints in turn, so that a dead one is left behind', async () => {
  await using one = await Peer.start();
  await using two = await Peer.start();
  const dead = await Peer.freePort();
  await using conn = await connect({ ...quick, host: '127.0.0.1', endpoints: [dead, `127.0.0.1:${one.port}`, { port: two.port }] });
  assert.is(one.links.length, 1);
  const up = next(conn, 'reconnect');
  await one.stop();
  await up;
  assert.is(two.links.length, 1);
});

test('connectTimeout: an attempt that hangs in dial is given up, and what it brings too late is destroyed', async () => {
  await using peer = await Peer.start();
  let bring: (socket: net.Socket) => void = () => {};
  const late = new Promise<net.Socket>((resolve) => (bring = resolve));
  const code = await codeOf(connect({ dial: () => late, connectTimeout: 20, retry: { retries: 0 } }));
  assert.is(code, 'ERR_RECON_TIMEOUT');
  const socket = net.connect(peer.port, '127.0.0.1');
  const closed = once(socket, 'close');
  bring(socket);
  await closed;
});

test('a stream that comes too late, and fails when it is destroyed, does no harm', async () => {
  let bring: (stream: Duplex) => void = () => {};
  const late = new Promise<Duplex>((resolve) => (bring = resolve));
  assert.is(await codeOf(connect({ dial: () => late, connectTimeout: 20, retry: { retries: 0 } })), 'ERR_RECON_TIMEOUT');
  const stream = new PassThrough({ destroy: (_error, callback) => callback(new Error('not so late')) });
  // Not `once()` of node:events, which would hear the error.
  const closed = new Promise<void>((resolve) => stream.on('close', resolve));
  bring(stream);
  await closed;
  assert.is(stream.errored?.message, 'not so late');
});

test('options that throw when they are read are refused, whatever they throw', async () => {
  for (const thrown of [new Error('never look at me'), new TypeError('nor at me'), 5]) {
    const fail = (): never => {
      throw thrown;
    };
    const getter = Object.defineProperty({}, 'port', { enumerable: true, get: fail });
    for (const options of [getter, new Proxy({}, { ownKeys: fail }), { port: 1, retry: new Proxy({}, { get: fail }) }]) {
      const error = await rejection(connect(options as ConnectOptions));
      assert.instance(error, TypeError);
      assert.match(error.message, 'recon: the options cannot be read');
      assert.is(error.cause, thrown);
    }
  }
});

test('gives up with the last error itself', async () => {
  const port = await Peer.freePort();
  assert.is(await codeOf(connect(port, '127.0.0.1', { retry: { retries: 2, minTimeout: 1 } })), 'ECONNREFUSED');
});

test('gives up with ERR_RECON_DROPPED where the last failure was a plain goodbye', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.end() });
  await using conn = await connect(peer.port, { retry: { retries: 2, minTimeout: 1 } });
  const error = await rejection(conn.closed);
  assert.instance(error, ReconError);
  assert.is(error.code, 'ERR_RECON_DROPPED');
  assert.is(conn.stats.links, 3);
});

test('stays pending while nobody answers, and aborting ends it', async () => {
  const port = await Peer.freePort();
  const controller = new AbortController();
  const connecting = connect(port, { ...quick, signal: controller.signal });
  assert.ok(await isPending(connecting));
  controller.abort(new Error('enough'));
  assert.is((await rejection(connecting)).message, 'enough');
});

test.run();
