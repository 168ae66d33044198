import { PassThrough } from 'node:stream';
import { createSecureContext } from 'node:tls';
import { inspect } from 'node:util';
import * as assert from 'uvu/assert';
import type { Endpoint } from '../src/address.js';
import { bytes } from '../src/codec.js';
import { lines } from '../src/codecs.js';
import type { ConnectOptions } from '../src/options.js';
import { readSettings } from '../src/settings.js';
import { suite } from './suite.js';

const test = suite('options');

/** Options with mistakes that the compiler would see. */
type Options = ConnectOptions<any, any>;

/** Where these arguments of `connect()` lead. */
const places = (...args: unknown[]): readonly Endpoint[] => readSettings(args).endpoints;
const tcp = (port: number, host = 'localhost', tls: Endpoint['tls'] = false): Endpoint => ({ port, host, tls });
const unix = (path: string, tls: Endpoint['tls'] = false): Endpoint => ({ path, tls });

const onLink = (): void => {};
const fail = (): never => {
  throw new Error('never look at me');
};
const ca = 'a certificate';

test('the defaults are those of the contract', () => {
  assert.equal(readSettings([4321]), {
    endpoints: [{ port: 4321, host: 'localhost', tls: false }],
    dial: undefined,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    onLink: undefined,
    codec: bytes,
    retry: { retries: Infinity, factor: 2, minTimeout: 100, maxTimeout: 30_000, randomize: true },
    minUptime: 5_000,
    connectTimeout: 10_000,
    closeTimeout: 5_000,
    signal: undefined,
    highWaterMark: 1_048_576,
    discard: false,
    maxBufferedAmount: 16_777_216,
    raw: true,
    unflushed: 'resend',
    idleTimeout: 0,
    writeTimeout: 0,
    heartbeat: undefined,
  });
});

test('an option that is undefined has its default', () => {
  const names = Object.keys(readSettings([4321])).filter((name) => !['endpoints', 'raw'].includes(name));
  const nothing = Object.fromEntries([...names, 'host', 'path', 'tls', 'endpoints'].map((name) => [name, undefined]));
  assert.equal(readSettings([{ ...nothing, port: 4321 }, undefined]), readSettings([4321]));
  assert.equal(readSettings([4321, { retry: { retries: undefined, minTimeout: undefined } }]), readSettings([4321]));
});

test('every option that is given is taken as it is', () => {
  const options = {
    noDelay: false,
    keepAlive: false,
    keepAliveInitialDelay: 1,
    onLink,
    codec: lines(),
    minUptime: 2,
    connectTimeout: 3,
    closeTimeout: 4,
    signal: new AbortController().signal,
    highWaterMark: 5,
    discard: true,
    maxBufferedAmount: 6,
    unflushed: 'reject',
    idleTimeout: 7,
    writeTimeout: 8,
    heartbeat: { interval: 9, message: 'PING' },
  } satisfies Options;
  assert.equal(readSettings([4321, options]), { ...readSettings([4321]), ...options, raw: false });
  const shouldRetry = (): boolean => true;
  const retry = { retries: 1, factor: 3, minTimeout: 4, maxTimeout: 5, randomize: false, maxRetryTime: 6, shouldRetry };
  assert.equal(readSettings([4321, { retry }]).retry, retry);
});

/** Each permutation of a list. */
function* orders<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [index, first] of items.entries()) {
    for (const rest of orders(items.filter((_, other) => other !== index))) yield [first, ...rest];
  }
}

test('arguments are told apart by their types, so that any order works', () => {
  for (const port of [4321, '4321']) {
    for (const args of orders([port, 'example.com', onLink, { discard: true }])) {
      const settings = readSettings(args);
      assert.equal(settings.endpoints, [tcp(4321, 'example.com')]);
      assert.is(settings.onLink, onLink);
      assert.is(settings.discard, true);
    }
  }
});

const FORMS: [title: string, args: unknown[], place: Endpoint][] = [
  ['a port', [4321], tcp(4321)],
  ['port 0', [0], tcp(0)],
  ['port 65535', [65_535], tcp(65_535)],
  ['digits', ['4321'], tcp(4321)],
  ['a port and a host', [4321, 'example.com'], tcp(4321, 'example.com')],
  ['a port in the options, as digits', [{ port: '4321' }], tcp(4321)],
  ['a host in the options', [4321, { host: 'example.com' }], tcp(4321, 'example.com')],
  ['host:port', ['example.com:4321'], tcp(4321, 'example.com')],
  ['[IPv6]:port', ['[::1]:4321'], tcp(4321, '::1')],
  ['an IPv6 address and a port', ['::1', 4321], tcp(4321, '::1')],
  ['tcp://', ['tcp://example.com:4321'], tcp(4321, 'example.com')],
  ['tls://', ['tls://example.com:4321'], tcp(4321, 'example.com', true)],
  ['unix:', ['unix:/run/s.sock'], unix('/run/s.sock')],
  ['a URL', [new URL('tls://example.com:4321')], tcp(4321, 'example.com', true)],
  ['a path in the options', [{ path: '/run/s.sock' }], unix('/run/s.sock')],
  ['TLS in the options', [4321, { tls: true }], tcp(4321, 'localhost', true)],
  ['TLS with options', [4321, { tls: { ca } }], tcp(4321, 'localhost', { ca })],
  ['two ports: the last wins', [1, '2', 3], tcp(3)],
  ['two hosts: the last wins', ['a', 1, 'b'], tcp(1, 'b')],
  ['a port before options with one', [1, { port: 2 }], tcp(2)],
  ['a port after options with one', [{ port: 2 }, 1], tcp(1)],
  ['two objects: the last wins', [{ port: 1, host: 'a' }, { port: 2 }], tcp(2, 'a')],
  ['an undefined option overrides nothing', [1, { port: undefined }], tcp(1)],
  ['an address over a port and a host', [1, 'a', 'b:2'], tcp(2, 'b')],
  ['a port over that of an address', ['a:1', 2], tcp(2, 'a')],
  ['a path over a port', [1, 'a', 'unix:/s'], unix('/s')],
  ['a port over a path', ['unix:/s', 1], tcp(1)],
  ['a path takes away the host before it, for good', ['a', 'unix:/s', 1], tcp(1)],
  ['a path in options over an address', ['a:1', { path: '/s' }], unix('/s')],
  ['tls:// after options of TLS keeps them', [{ tls: { ca } }, 'tls://a:1'], tcp(1, 'a', { ca })],
  ['options of TLS after tls://', ['tls://a:1', { tls: { ca } }], tcp(1, 'a', { ca })],
  ['tls:// after TLS that is off', [{ tls: false }, 'tls://a:1'], tcp(1, 'a', true)],
  ['tcp:// after TLS', [{ tls: { ca } }, 'tcp://a:1'], tcp(1, 'a')],
  ['TLS that is off after tls://', ['tls://a:1', { tls: false }], tcp(1, 'a')],
];

for (const [title, args, place] of FORMS) {
  test(`where: ${title}`, () => assert.equal(places(...args), [place]));
}

const ENDPOINTS: [title: string, args: unknown[], places: Endpoint[]][] = [
  [
    'objects, strings, numbers and URLs',
    [{ endpoints: [{ port: 1 }, 'b:2', '3', 4, 'tls://e:5', new URL('tcp://f:6'), 'unix:/g', '[::1]:8'] }],
    [tcp(1), tcp(2, 'b'), tcp(3), tcp(4), tcp(5, 'e', true), tcp(6, 'f'), unix('/g'), tcp(8, '::1')],
  ],
  ['inherit the port', [{ endpoints: ['a', 'b:2', { host: 'c' }, '::1'] }, 1], [tcp(1, 'a'), tcp(2, 'b'), tcp(1, 'c'), tcp(1, '::1')]],
  ['inherit the host', ['a', { endpoints: [1, '2', { port: 3 }, 'b:4'] }], [tcp(1, 'a'), tcp(2, 'a'), tcp(3, 'a'), tcp(4, 'b')]],
  [
    'inherit TLS and its options',
    [{ tls: { ca }, endpoints: [1, 'tls://a:2', 'tcp://a:3', { port: 4, tls: false }, { port: 5, tls: true }, 'unix:/g'] }],
    [tcp(1, 'localhost', { ca }), tcp(2, 'a', { ca }), tcp(3, 'a'), tcp(4), tcp(5, 'localhost', { ca }), unix('/g', { ca })],
  ],
  ['inherit the path, unless they have a port', ['unix:/s', { endpoints: [{}, { tls: true }, 1] }], [unix('/s'), unix('/s', true), tcp(1)]],
  ['the last list wins', [{ endpoints: [1, 2] }, { endpoints: [3] }], [tcp(3)]],
];

for (const [title, args, expected] of ENDPOINTS) {
  test(`endpoints: ${title}`, () => assert.equal(places(...args), expected));
}

test('a custom dial needs no address', () => {
  const dial = (): never => assert.unreachable() as never;
  assert.is(readSettings([{ dial }]).dial, dial);
});

test('times longer than a timer can bear are the longest it can; no limit is 0', () => {
  const longest = 2 ** 31 - 1;
  for (const long of [2 ** 31, 1e100, Infinity]) {
    const times = { keepAliveInitialDelay: long, closeTimeout: long, connectTimeout: long, idleTimeout: long, writeTimeout: long };
    const settings = readSettings([4321, { ...times, retry: { minTimeout: long, maxTimeout: long } }]);
    assert.is(settings.closeTimeout, longest);
    assert.is(settings.keepAliveInitialDelay, longest);
    assert.is(settings.retry.minTimeout, longest);
    assert.is(settings.retry.maxTimeout, longest);
    for (const name of ['connectTimeout', 'idleTimeout', 'writeTimeout'] as const) {
      assert.is(settings[name], long === Infinity ? 0 : longest, name);
    }
  }
});

test('a heartbeat rarer than a timer can bear does not become one every millisecond', () => {
  for (const interval of [2 ** 31, Infinity]) {
    const { heartbeat } = readSettings<unknown, string>([4321, { heartbeat: { interval, message: 'PING' } }]);
    assert.ok(heartbeat === undefined || heartbeat.interval <= 2 ** 31 - 1);
  }
});

test('minTimeout above the default maxTimeout raises it; one that is given is kept', () => {
  assert.is(readSettings([4321, { retry: { minTimeout: 60_000 } }]).retry.maxTimeout, 60_000);
  assert.is(readSettings([4321, { retry: { maxTimeout: 50 } }]).retry.maxTimeout, 50);
});

const option = (name: string, value: unknown, shown: string): [unknown[], string, string] => [[4321, { [name]: value }], name, shown];

/** Arguments that can't be right; what the error must name, and the value it must show. */
const WRONG: [args: unknown[], name: string, shown: string][] = [
  // Nothing to connect to.
  [[], 'port', '{}'],
  [[{}], 'port', '{}'],
  [['example.com'], 'port', 'example.com'],
  [[{ host: 'example.com' }], 'port', 'example.com'],
  [[1, 'unix:/s', 'example.com'], 'port', 'example.com'],
  [[{ endpoints: ['example.com'] }], 'endpoints[0]', 'example.com'],
  // Ports.
  [[65_536], 'port', '65536'],
  [[-1], 'port', '-1'],
  [[80.5], 'port', '80.5'],
  [[NaN], 'port', 'NaN'],
  [[Infinity], 'port', 'Infinity'],
  [['65536'], 'port', '65536'],
  [['a:65536'], 'port', '65536'],
  [[{ port: 65_536 }], 'port', '65536'],
  [[{ port: 'http' }], 'port', "'http'"],
  [[{ port: '' }], 'port', "''"],
  [[{ port: '80 ' }], 'port', "'80 '"],
  [[{ port: '0x50' }], 'port', "'0x50'"],
  [[{ port: null }], 'port', 'null'],
  [[{ port: true }], 'port', 'true'],
  [[{ port: [80] }], 'port', '80'],
  // Addresses.
  [['http://a:1'], 'address', "'http://a:1'"],
  [['tcp://a'], 'address', "'tcp://a'"],
  [[new URL('https://a:1')], 'address', 'https://a:1'],
  [['/tmp/s'], 'address', "'/tmp/s'"],
  [[''], 'address', "''"],
  // Arguments.
  [[null], 'argument', 'null'],
  [[4321, null], 'argument', 'null'],
  [[true], 'argument', 'true'],
  [[4321n], 'argument', '4321n'],
  [[Symbol('port')], 'argument', 'Symbol(port)'],
  [[[4321]], 'argument', '4321'],
  // Names.
  [[4321, { hots: 'a' }], 'hots', "'a'"],
  [[4321, { toString: onLink }], 'toString', 'Function'],
  [[4321, JSON.parse('{"__proto__":1}')], '__proto__', '1'],
  [[4321, { retry: { forever: true } }], 'retry.forever', 'true'],
  [[4321, { retry: { signal: AbortSignal.abort() } }], 'retry.signal', 'AbortSignal'],
  [[{ endpoints: [{ prot: 1 }] }], 'endpoints[0].prot', '1'],
  // Endpoints.
  [[{ endpoints: [] }], 'endpoints', '[]'],
  [[{ endpoints: 'a:1' }], 'endpoints', "'a:1'"],
  [[{ endpoints: null }], 'endpoints', 'null'],
  [[{ endpoints: [null] }], 'endpoints[0]', 'null'],
  [[{ endpoints: [1, undefined] }], 'endpoints[1]', 'undefined'],
  [[{ endpoints: new Array(1) }], 'endpoints[0]', 'undefined'],
  [[{ endpoints: [1, [2]] }], 'endpoints[1]', '2'],
  [[{ endpoints: [1, 65_536] }], 'endpoints[1]', '65536'],
  [[{ endpoints: [1, { port: -1 }] }], 'endpoints[1].port', '-1'],
  [[{ endpoints: [1, { host: '' }] }], 'endpoints[1].host', "''"],
  [[{ endpoints: [1, '65536'] }], 'endpoints[1]', "'65536'"],
  [[{ endpoints: [1, 'a:65536'] }], 'endpoints[1]', '65536'],
  [[{ endpoints: [1, 'http://a:1'] }], 'endpoints[1]', "'http://a:1'"],
  [[{ dial: onLink, endpoints: [null] }], 'endpoints[0]', 'null'],
  [[{ dial: onLink, endpoints: ['a'] }], 'endpoints[0]', 'a'],
  // Each option by itself.
  option('host', '', "''"),
  option('host', 42, '42'),
  option('host', 'a b', "'a b'"),
  option('host', 'http://a', "'http://a'"),
  option('path', '', "''"),
  option('path', Buffer.from('/s'), 'Buffer'),
  option('tls', 'yes', "'yes'"),
  option('tls', null, 'null'),
  option('dial', 'tcp', "'tcp'"),
  option('dial', null, 'null'),
  option('noDelay', 1, '1'),
  option('keepAlive', 'on', "'on'"),
  option('keepAliveInitialDelay', -1, '-1'),
  option('keepAliveInitialDelay', '10', "'10'"),
  option('onLink', {}, '{}'),
  option('codec', lines, 'Function: lines'),
  option('codec', null, 'null'),
  [[4321, { codec: { encode: String } }], 'codec.decoder', 'undefined'],
  [[4321, { codec: { decoder: lines, encode: 'utf8' } }], 'codec.encode', "'utf8'"],
  option('retry', 5, '5'),
  option('retry', null, 'null'),
  [[4321, { retry: { retries: -1 } }], 'retry.retries', '-1'],
  [[4321, { retry: { retries: NaN } }], 'retry.retries', 'NaN'],
  [[4321, { retry: { retries: '5' } }], 'retry.retries', "'5'"],
  [[4321, { retry: { retries: 1.5 } }], 'retry.retries', '1.5'],
  [[4321, { retry: { factor: null } }], 'retry.factor', 'null'],
  [[4321, { retry: { factor: Infinity } }], 'retry.factor', 'Infinity'],
  [[4321, { retry: { minTimeout: -1 } }], 'retry.minTimeout', '-1'],
  [[4321, { retry: { maxTimeout: '1s' } }], 'retry.maxTimeout', "'1s'"],
  [[4321, { retry: { maxRetryTime: -1 } }], 'retry.maxRetryTime', '-1'],
  [[4321, { retry: { randomize: 0.5 } }], 'retry.randomize', '0.5'],
  [[4321, { retry: { shouldRetry: true } }], 'retry.shouldRetry', 'true'],
  [[4321, { retry: { onFailedAttempt: null } }], 'retry.onFailedAttempt', 'null'],
  option('minUptime', -1, '-1'),
  option('connectTimeout', NaN, 'NaN'),
  option('connectTimeout', '1s', "'1s'"),
  option('closeTimeout', null, 'null'),
  option('signal', new AbortController(), 'AbortController'),
  option('signal', null, 'null'),
  option('highWaterMark', 0, '0'),
  option('highWaterMark', '1MB', "'1MB'"),
  option('discard', 'no', "'no'"),
  option('maxBufferedAmount', -1, '-1'),
  option('maxBufferedAmount', NaN, 'NaN'),
  option('unflushed', 'drop', "'drop'"),
  option('unflushed', true, 'true'),
  option('idleTimeout', -1, '-1'),
  option('writeTimeout', 5n, '5n'),
  option('heartbeat', 1_000, '1000'),
  [[4321, { heartbeat: { message: 'PING' } }], 'heartbeat.interval', 'undefined'],
  [[4321, { heartbeat: { interval: 1_000 } }], 'heartbeat.message', 'undefined'],
  [[4321, { heartbeat: { interval: 0, message: 'PING' } }], 'heartbeat.interval', '0'],
  [[4321, { heartbeat: { interval: '1s', message: 'PING' } }], 'heartbeat.interval', "'1s'"],
  [[4321, { heartbeat: { interval: 1, message: 42 } }], 'heartbeat.message', '42'],
  [[4321, { heartbeat: { interval: 1, message: 'a\nb' }, codec: lines() }], 'heartbeat.message', "'a\\nb'"],
  [[4321, { heartbeat: { interval: 1, message: 'PING', timeout: 1 } }], 'heartbeat.timeout', '1'],
  [[4321, { tls: { ALPNProtocols: 5 } }], 'tls.ALPNProtocols', '5'],
  [[4321, { tls: { ALPNProtocols: [5] } }], 'tls.ALPNProtocols', '5'],
  [[4321, { tls: { ALPNProtocols: [''] } }], 'tls.ALPNProtocols', "''"],
  [[4321, { tls: { timeout: Infinity } }], 'tls.timeout', 'Infinity'],
  [[4321, { tls: { pskCallback: 5 } }], 'tls.pskCallback', '5'],
  [[4321, { tls: { secureContext: 5 } }], 'tls.secureContext', '5'],
  [[4321, { tls: { timeout: 'x' } }], 'tls.timeout', "'x'"],
  [[4321, { tls: { socket: new PassThrough() } }], 'tls.socket', 'PassThrough'],
  [[{ port: { [inspect.custom]: fail } }], 'port', 'what throws'],
];

for (const [args, name, shown] of WRONG) {
  test(`wrong: an error names ${name} and shows ${shown}`, () => {
    let caught: unknown;
    try {
      readSettings(args);
    } catch (error) {
      caught = error;
    }
    assert.ok(caught instanceof TypeError || caught instanceof RangeError, `got ${caught}`);
    const [said = '', got = ''] = caught.message.split(/\bgot\b/);
    assert.ok(said.includes(name) && got.includes(shown), caught.message);
  });
}

test('options of TLS that Node takes are taken', () => {
  const options = [
    { secureContext: createSecureContext() },
    { ALPNProtocols: ['h2', 'x'.repeat(255)] },
    { ALPNProtocols: [] },
    { ALPNProtocols: Buffer.from('\x02h2') },
    { timeout: 0, socket: undefined, pskCallback: () => null, session: new Uint8Array() },
  ];
  for (const tls of options) assert.equal(places(4321, { tls }), [tcp(4321, 'localhost', tls as never)]);
});

test('options of TLS that can never work are refused at once', () => {
  for (const tls of [{ cert: 'no certificate' }, { key: 'no key' }, { minVersion: 'TLSv1.4' }, { checkServerIdentity: true }]) {
    for (const args of [[4321, { tls }], [{ endpoints: [{ port: 4321, tls }] }]]) {
      assert.throws(() => readSettings(args), (error: unknown) => error instanceof TypeError && error.message.includes('tls'));
    }
  }
});

test('an error about one mistake does not tell the secrets beside it', () => {
  assert.throws(
    () => readSettings([{ host: 'a', tls: { passphrase: 'SECRET' } }]),
    (error: Error) => error instanceof TypeError && !error.message.includes('SECRET'),
  );
});

test.run();
