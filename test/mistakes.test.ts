import { setImmediate as turn } from 'node:timers/promises';
import { connect, type Connection, jsonLines, type Link, lines, type ReconErrorCode } from 'recon';
import * as assert from 'uvu/assert';
import { Authority } from './certificates.js';
import { next, rejection } from './helpers.js';
import { Peer } from './peer.js';
import { suite } from './suite.js';
import { TlsPeer } from './tls-peer.js';

// The likeliest mistakes, and what the error of each must say: its code, to whom, on which link, which option, which value,
// what to do. The words around these are free.

const test = suite('mistakes');

/** What the compiler would not let pass. */
const any = (value: unknown): any => value;

/** The message says all of this, and so does the stack, which is what a terminal shows. */
function says(error: Error, words: readonly string[]): void {
  for (const part of words) assert.match(error.message, part);
  assert.ok(error.stack?.startsWith(`${error.name}: ${error.message}`), error.stack);
}

const ARGUMENTS: [mistake: string, args: () => unknown[], ...says: string[]][] = [
  ['a port out of range', () => [70_000], 'port', '65535', '70000'],
  ['an address from a variable that is not set', () => [undefined], 'a port', 'missing', '{}'],
  ['null for a port', () => [null], 'port', 'null'],
  ['a host without a port', () => ['localhost'], 'port', "'localhost'"],
  ['an address of the web', () => ['http://localhost:80'], 'tcp:', "'http://localhost:80'"],
  ['a path without unix:', () => ['/run/server.sock'], 'unix:/path', "'/run/server.sock'"],
  ['an option in small letters', () => [1, { keepaliveinitialdelay: 5 }], 'keepaliveinitialdelay', '5', 'you mean keepAliveInitialDelay?'],
  ['letters that changed places', () => [{ prot: 80 }], 'prot', '80', 'did you mean port?'],
  ['an option of retry at the top', () => [1, { retries: 5 }], 'retries', '5', 'did you mean retry.retries?'],
  ['half of a name', () => [1, { timeout: 5 }], 'timeout', '5', 'mean connectTimeout', 'idleTimeout', 'writeTimeout'],
  ['more than a name', () => [{ hostname: 'a', port: 1 }], 'hostname', "'a'", 'did you mean host?'],
  ['an option of another library', () => [1, { encoding: 'utf8' }], 'encoding', "'utf8'", 'codec'],
  ['a typo below retry', () => [1, { retry: { minTimout: 5 } }], 'retry.minTimout', '5', 'minTimeout?'],
  ['a number of retries', () => [1, { retry: 5 }], 'retry', '{ retries: 5 }', 'got 5'],
  ['a codec that is not called', () => [1, { codec: lines }], 'codec', 'lines()', '[Function: lines]'],
  ['a typo in an option of a codec', () => [1, { codec: lines(any({ maxlength: 80 })) }], 'maxlength', '80', 'maxLength?'],
  ['a controller for its signal', () => [1, { signal: new AbortController() }], 'signal', 'AbortSignal', 'AbortController'],
  ['a dial that returns nothing', () => [{ dial: () => {} }], 'dial', 'Duplex', 'undefined'],
  ['a dial that returns an address', () => [{ dial: () => 'localhost:80' }], 'dial', 'Duplex', "'localhost:80'"],
];

for (const [mistake, args, ...words] of ARGUMENTS) {
  test(mistake, async () => {
    const error = await rejection((async () => connect(...any(args())))());
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
    says(error, words);
  });
}

test('an argument that is wrong is wrong where connect() was called: there the stack begins', async () => {
  const error = await rejection(connect(70_000));
  assert.match(error.stack?.split('\n')[1] ?? '', import.meta.filename);
});

/** Somebody to connect to. */
type Server = () => Promise<{ readonly port: number } & AsyncDisposable>;

const nobody: Server = async () => ({ port: await Peer.freePort(), async [Symbol.asyncDispose]() {} });
const echo: Server = () => Peer.start({ echo: true });
const silent: Server = () => Peer.start();
const deaf: Server = () => Peer.start({ onLink: (link) => link.pause() });
const greeting: Server = () => Peer.start({ onLink: (link) => void link.send(`${'hello '.repeat(30)}\n`) });
const hangsUp: Server = () => Peer.start({ onLink: (link) => link.end() });
const confused: Server = () => Peer.start({ onLink: ({ socket }) => socket.once('data', () => socket.end()) });
const resets: Server = () => Peer.start({ onLink: (link) => void link.until('x').then(() => link.reset()) });

const authority = new Authority();
const tls = { ca: authority.cert };
const secure: Server = () => TlsPeer.start(authority.issue());
const expired: Server = () => TlsPeer.start(authority.issue({ from: new Date(0), until: new Date(1_000) }));
const another: Server = () => TlsPeer.start(authority.issue({ names: ['example.com'] }));

/** Gives up at once. */
const once = { retry: { retries: 0 } };
const LINK = 'link 1 to tcp://localhost:$port';
const TLS = 'tls://localhost:$port';

type Mistake = [
  mistake: string,
  server: Server,
  make: (port: number) => Promise<unknown>,
  /** A part of the code, or of the name of what has none. */
  is: string | RegExp,
  /** What the message says; `$port` is the server's. */
  ...says: string[],
];

const ATTEMPTS: Mistake[] = [
  ['nobody listens', nobody, (port) => connect(port, '127.0.0.1', once), 'ECONNREFUSED', '127.0.0.1:$port'],
  ['TLS to a plain port', greeting, (port) => connect(port, { ...once, tls: true }), /^ERR_SSL/, TLS, 'speak TLS'],
  [
    'TLS to a plain port that hangs up',
    confused,
    (port) => connect(port, { ...once, tls: true }),
    'ECONNRESET',
    ...[TLS, 'speak TLS'],
  ],
  ['plain to a TLS port', secure, (port) => talk(port), /DROPPED|ECONNRESET/, LINK],
  ['an authority of one’s own', secure, (port) => connect(port, { tls: true }), /SELF_SIGNED|UNABLE/, TLS, '{ ca }'],
  ['a certificate that has expired', expired, (port) => connect(port, { tls }), 'CERT_HAS_EXPIRED', TLS, 'expired'],
  [
    'a certificate of another name',
    another,
    (port) => connect(port, { tls }),
    /ALTNAME/,
    ...[TLS, 'example.com', '{ servername }'],
  ],
  [
    'a server that never answers TLS',
    silent,
    (port) => connect(port, { ...once, tls: true, connectTimeout: 50 }),
    'TIMEOUT',
    ...[TLS, '50 ms', 'connectTimeout'],
  ],
  [
    'a server that never answers onLink',
    silent,
    (port) => connect(port, (link) => link.read(), { ...once, connectTimeout: 50 }),
    'TIMEOUT',
    ...['onLink', 'tcp://localhost:$port', '50 ms', 'connectTimeout'],
  ],
  [
    'a server that hangs up on onLink',
    hangsUp,
    (port) => connect(port, (link) => link.read(), once),
    'DROPPED',
    ...['the peer', LINK, 'before it was up'],
  ],
  [
    'a dial that throws a string',
    nobody,
    () => connect({ ...once, dial: any(() => Promise.reject('no route')) }),
    'Error',
    ...['no route'],
  ],
];

const LINKS: Mistake[] = [
  ['a server that hangs up', hangsUp, (port) => failed(port), 'DROPPED', 'the peer', LINK, ' ms'],
  ['a server that resets', resets, talk, 'ECONNRESET', 'read ECONNRESET'],
  [
    'a server that falls silent',
    silent,
    (port) => failed(port, { idleTimeout: 50 }),
    'TIMEOUT',
    ...[LINK, '50 ms', 'idleTimeout'],
  ],
  [
    'a server that reads nothing',
    deaf,
    (port) => write(port, HUGE, { ...once, writeTimeout: 50 }),
    'CLOSED',
    ...[LINK, '50 ms', 'writeTimeout'],
  ],
  ['a link lost in the middle of a write', deaf, interrupt, 'UNFLUSHED', LINK, 'in part', 'reconnect()'],
  ['a link kept beyond its life', echo, writeToOldLink, 'DROPPED', 'cannot write', LINK, 'reconnect()'],
];

const READING: Mistake[] = [
  ['two readers', echo, (port) => readBeside(port, (conn) => conn), 'READING', 'one', 'left first'],
  ['a reader beside a stream', echo, (port) => readBeside(port, (conn) => conn.stream()), 'READING', 'one', 'stream()'],
  [
    'a peer whose lines are too long',
    greeting,
    (port) => failed(port, { codec: lines({ maxLength: 99 }) }),
    'CODEC',
    ...[LINK, '99 bytes', 'maxLength'],
  ],
  ['a peer that speaks no JSON', greeting, (port) => failed(port, { codec: jsonLines() }), 'CODEC', LINK, 'JSON', 'hello'],
  ['a decoder that throws', greeting, (port) => failed(port, { codec: broken }), 'CODEC', LINK, 'a bug'],
];

const WRITING: Mistake[] = [
  ['a write after the end', echo, (port) => writeAfter(port, (conn) => conn.end()), 'CLOSED', 'cannot write', 'ended'],
  ['a write during the end', echo, (port) => writeAfter(port, (conn) => void conn.end()), 'CLOSED', 'cannot write', 'end()'],
  [
    'a write after destroy()',
    echo,
    (port) => writeAfter(port, (conn) => conn.destroy(new Error('mine'))),
    'CLOSED',
    ...['cannot write', 'mine'],
  ],
  [
    'a write after it has given up',
    hangsUp,
    (port) => writeAfter(port, ({ closed }) => rejection(closed)),
    'CLOSED',
    ...['cannot write', LINK],
  ],
  ['an object without a codec', echo, (port) => write(port, { a: 1 }), 'TypeError', 'string', 'jsonLines()', '{ a: 1 }'],
  ['nothing at all', echo, (port) => write(port, undefined), 'TypeError', 'string', 'undefined'],
  ['a line with its line break', echo, (port) => write(port, 'a\n', { codec: lines() }), 'CODEC', 'line break', 'lines()'],
  [
    'an object for a line',
    echo,
    (port) => write(port, { a: 1 }, { codec: lines() }),
    'TypeError',
    ...['line', 'string', '{ a: 1 }'],
  ],
  ['an encoder that throws', echo, (port) => write(port, 7, { codec: broken }), 'CODEC', 'codec', 'a bug'],
  [
    'an encoder that makes no bytes',
    echo,
    (port) => write(port, 7, { codec: { ...broken, encode: () => 7 } }),
    'TypeError',
    ...['the codec', 'Uint8Array', 'got 7'],
  ],
  [
    'a write above the bound',
    echo,
    (port) => write(port, 'hello', { maxBufferedAmount: 4 }),
    'BUFFER_FULL',
    ...['5 bytes', 'maxBufferedAmount', '4'],
  ],
  ['writes that nobody awaits', deaf, pile, 'BUFFER_FULL', '2000000 bytes', '3000000 bytes', '4000000', 'await', "'drain'"],
];

const HUGE = Buffer.alloc(8_000_000);

const bug = (): never => {
  throw new Error('a bug');
};
const broken = { decoder: () => bug, encode: bug };

/** What the connection fails with. */
const failed = async (port: number, options = {}): Promise<void> => (await connect(port, { ...once, ...options })).closed;

/** Says something, and waits until the connection has failed. */
async function talk(port: number): Promise<void> {
  const conn = await connect(port, once);
  await conn.write('xxxxx');
  await conn.closed;
}

async function write(port: number, message: unknown, options = {}): Promise<void> {
  const conn = await connect(port, options);
  await conn.write(any(message)).finally(() => conn.destroy());
}

async function writeAfter(port: number, end: (conn: Connection) => unknown): Promise<void> {
  const conn = await connect(port, once);
  await end(conn);
  await conn.write('x');
}

async function pile(port: number): Promise<void> {
  const conn = await connect(port, { maxBufferedAmount: 4_000_000 });
  void conn.write(Buffer.alloc(3_000_000));
  await conn.write(Buffer.alloc(2_000_000)).finally(() => conn.destroy());
}

async function interrupt(port: number): Promise<void> {
  const conn = await connect(port, { unflushed: 'reject' });
  const written = conn.write(HUGE);
  await turn();
  void conn.reconnect();
  await written.finally(() => conn.destroy());
}

async function writeToOldLink(port: number): Promise<void> {
  await using conn = await connect(port);
  const link = await next<Link>(conn, 'connect');
  await conn.reconnect();
  await link.write('x');
}

async function readBeside(port: number, other: (conn: Connection) => AsyncIterable<unknown>): Promise<unknown> {
  await using conn = await connect(port);
  void other(conn)[Symbol.asyncIterator]().next();
  await turn();
  return await conn.batches().next();
}

for (const [mistake, server, make, is, ...words] of [...ATTEMPTS, ...LINKS, ...READING, ...WRITING]) {
  test(mistake, async () => {
    await using peer = await server();
    const error = await rejection(make(peer.port));
    assert.match(error.code ?? error.name, is);
    says(error, words.map((part) => part.replace('$port', String(peer.port))));
  });
}

test('a name with several addresses, none of which answers: all are named', async () => {
  const port = await Peer.freePort();
  const addresses = ['127.0.0.2', '127.0.0.3'];
  const lookup = (_name: string, _options: unknown, found: (error: null, places: object[]) => void): void =>
    found(null, addresses.map((address) => ({ address, family: 4 })));
  const error = await rejection(connect(port, 'several.test', { ...once, tls: any({ lookup }) }));
  says(error, addresses.map((address) => `${address}:${port}`));
});

const CODES: Record<ReconErrorCode, true> = {
  ERR_RECON_CLOSED: true,
  ERR_RECON_DROPPED: true,
  ERR_RECON_BUFFER_FULL: true,
  ERR_RECON_UNFLUSHED: true,
  ERR_RECON_TIMEOUT: true,
  ERR_RECON_READING: true,
  ERR_RECON_CODEC: true,
};

test('every code is among them', () => {
  const made = [...ATTEMPTS, ...LINKS, ...READING, ...WRITING].map(([, , , is]) => is);
  for (const code of Object.keys(CODES)) assert.ok(made.some((is) => code === `ERR_RECON_${is}`), code);
});

test.run();
