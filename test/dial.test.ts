import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { connect, type ConnectOptions, type Link } from 'recon';
import * as assert from 'uvu/assert';
import { deferred } from '../src/promises.js';
import { Authority } from './certificates.js';
import { quick, readText, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { BlackHole } from './silent.js';
import { suite } from './suite.js';
import { TlsPeer } from './tls-peer.js';

const test = suite('dial');

for (const event of ['connect', 'secureConnect']) {
  test(`a socket of TLS that dial brings after its '${event}' is used once its handshake is done`, async () => {
    const authority = new Authority();
    await using peer = await TlsPeer.start({ ...authority.issue(), echo: true });
    const dial = async (): Promise<tls.TLSSocket> => {
      const socket = tls.connect({ port: peer.port, host: '127.0.0.1', servername: 'localhost', ca: authority.cert });
      await once(socket, event);
      return socket;
    };
    const authorized: boolean[] = [];
    const onLink = ({ socket }: Link): void => void authorized.push((socket as tls.TLSSocket).authorized);
    await using conn = await connect({ ...quick, dial, onLink });
    assert.equal(authorized, [true]);
    await conn.write('ping');
    assert.is(await readText(conn, (text) => text.length === 4), 'ping');
  });
}

const spoilt = (): Duplex => new Duplex({ read() {} }).destroy(new Error('spoilt'));
const refused = ((_name: string, { all }: { all?: boolean }, callback: (...answer: unknown[]) => void): void =>
  all ? callback(null, [{ address: '255.255.255.255', family: 4 }]) : callback(null, '255.255.255.255', 4)) as never;
const elsewhere = (): net.Socket => net.connect({ port: 4321, host: '127.0.0.1', localAddress: '192.0.2.1' });
const atOnce: [what: string, place: ConnectOptions][] = [
  ['an address that the system refuses', { port: 4321, host: '255.255.255.255' }],
  ['the same with TLS', { port: 4321, host: '255.255.255.255', tls: true }],
  ['a name of TLS that is looked up at once', { host: 'x.test', port: 4321, tls: { lookup: refused } }],
  ['a socket that dial returns', { dial: elsewhere }],
  ['a socket that dial promises', { dial: async () => elsewhere() }],
  ['a stream that dial returns', { dial: spoilt }],
  ['a stream that dial promises', { dial: async () => spoilt() }],
];

for (const [what, place] of atOnce) {
  test(`${what} may fail at once, wherever connect() is called: that is a failed attempt`, async () => {
    let failed = 0;
    const retry = { retries: 1, minTimeout: 1, onFailedAttempt: () => void (failed += 1) };
    // Outside of a microtask, Node tells of an error before any promise goes on.
    const error = deferred<Error>();
    setTimeout(() => error.resolve(rejection(connect({ ...place, retry }))), 1);
    assert.instance(await error.promise, Error);
    assert.is(failed, 2);
  });
}

test('an error with parts that are no list of errors comes through as it is', async () => {
  const error = Object.assign(new Error(''), { code: 'E_DISCOVERY', errors: { a: 1 } });
  const lookup = ((_name: string, _options: object, callback: (error: Error) => void): void => callback(error)) as never;
  assert.is(await rejection(connect({ host: 'x.test', port: 1, tls: { lookup }, retry: { retries: 0 } })), error);
});

test('an error that already names what it was about comes through as it is', async () => {
  const message = 'getaddrinfo ENOTFOUND x.test';
  const unknown = Object.assign(new Error(message), { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'x.test' });
  const lookup = ((_name: string, _options: object, callback: (error: Error) => void): void => callback(unknown)) as never;
  assert.is(await rejection(connect({ host: 'x.test', port: 1, tls: { lookup }, retry: { retries: 0 } })), unknown);
  assert.is(unknown.message, message);
});

test('with little time, the first address of a name does not take all of it', async () => {
  const authority = new Authority();
  await using peer = await TlsPeer.start({ ...authority.issue(), echo: true });
  await using black = await BlackHole.start('127.0.0.2', peer.port);
  const lookup = ((_name: string, _options: object, callback: (...answer: unknown[]) => void): void =>
    callback(null, [black.host, '127.0.0.1'].map((address) => ({ address, family: 4 })))) as never;
  const tls = { ca: authority.cert, servername: 'localhost', lookup };
  await using conn = await connect({ port: peer.port, host: 'x.test', tls, connectTimeout: 1_900 });
  assert.is(conn.stats.attempts, 1);
});

/** Brings a stream that nothing more will happen to. */
async function after(event: string, stream: Duplex): Promise<Duplex> {
  const happened = new Promise<void>((resolve) => stream.once(event, resolve));
  stream.on('error', () => {}).resume();
  await happened;
  return stream;
}

test('a stream that broke before dial brings it fails the attempt with what it broke with', async () => {
  const failure = new Error('the cable is cut');
  const dial = (): Promise<Duplex> => after('close', new Duplex({ read() {} }).destroy(failure));
  assert.is(await rejection(connect({ dial, retry: { retries: 0 } })), failure);
});

test('a stream that has ended before dial brings it is a failed attempt, though it can still be written to', async () => {
  let dials = 0;
  const dial = (): Duplex | Promise<Duplex> => {
    const stream = new Duplex({ autoDestroy: false, read() {}, write: (_chunk, _encoding, callback) => callback() });
    if (++dials > 1) return stream;
    stream.push(null);
    return after('end', stream);
  };
  await using conn = await connect({ ...quick, closeTimeout: 1, dial });
  assert.is(conn.stats.attempts, 2);
});

const enough = new Error('enough');
const frozen = Object.freeze(Object.assign(new Error('enough'), { code: 'ENOUGH' }));

for (const [what, reason] of [['an error', enough], ['what is no error', 'enough'], ['an error that cannot be changed', frozen]] as const) {
  test(`a dialled socket that is destroyed with ${what} before it is ready fails the attempt, and nothing else`, async () => {
    await using peer = await Peer.start();
    const dial = (): tls.TLSSocket => {
      // The peer leaves the handshake unanswered.
      const socket = tls.connect(peer.port, '127.0.0.1');
      setImmediate(() => socket.destroy(reason as Error));
      return socket;
    };
    const failed: Error[] = [];
    const onFailedAttempt = ({ error }: { error: Error }): void => void failed.push(error);
    const error = await rejection(connect({ dial, retry: { retries: 0, onFailedAttempt } }));
    assert.is(reason instanceof Error ? error : error.cause, reason);
    assert.equal(failed, [error]);
  });
}

test('a dialled socket that is closed without a word before it is ready fails the attempt', async () => {
  await using peer = await Peer.start();
  const dial = (): tls.TLSSocket => {
    const socket = tls.connect(peer.port, '127.0.0.1');
    setImmediate(() => socket.destroy());
    return socket;
  };
  const error = await rejection(connect({ dial, retry: { retries: 0 } }));
  assert.is(error.code, 'ERR_RECON_DROPPED');
  assert.match(error.message, 'closed while it was connecting');
});

test('a dialled socket that heeds its signal is destroyed by an abort, and is listened to no more', async () => {
  await using peer = await Peer.start();
  const controller = new AbortController();
  let socket!: tls.TLSSocket;
  const dial = ({ signal }: { signal: AbortSignal }): tls.TLSSocket => {
    socket = tls.connect(peer.port, '127.0.0.1');
    signal.addEventListener('abort', () => socket.destroy(signal.reason));
    setImmediate(() => controller.abort());
    return socket;
  };
  assert.is(await rejection(connect({ dial, signal: controller.signal })), controller.signal.reason);
  await eventually(() => socket.closed);
  assert.is(socket.listenerCount('secureConnect'), 0);
});

test.run();
