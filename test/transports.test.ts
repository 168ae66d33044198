import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { AbortError, connect, type Connection, type ConnectOptions, type DialContext, type Drop, lines, type Link } from 'recon';
import * as assert from 'uvu/assert';
import { Authority } from './certificates.js';
import { here, inFolder, isPending, next, quick, readText, rejection } from './helpers.js';
import { eventually, Peer, type PeerLink } from './peer.js';
import { suite } from './suite.js';
import { TlsPeer } from './tls-peer.js';

const test = suite('transports');

const authority = new Authority();
const ca = authority.cert;
const good = authority.issue();

/** Two streams: what is written to one is read from the other. */
function pair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex => {
    let taken: (() => void) | undefined;
    const side = new Duplex({
      read() {
        // What the other one wrote last has been asked for: it may write on.
        const callback = taken;
        taken = undefined;
        callback?.();
      },
      write(chunk: Buffer, _encoding, callback) {
        (other() as Duplex & { take(chunk: Buffer, callback: () => void): void }).take(chunk, callback);
      },
      final(callback) {
        other().push(null);
        callback();
      },
      destroy(error, callback) {
        setImmediate(() => other().destroy());
        callback(error);
      },
    });
    return Object.assign(side, {
      take(chunk: Buffer, callback: () => void) {
        if (side.push(chunk)) callback();
        else taken = callback;
      },
    });
  };
  const one: Duplex = make(() => two);
  const two: Duplex = make(() => one);
  return [one.on('error', () => {}), two.on('error', () => {})];
}

/** Resolves every name to these addresses. */
const lookupOf =
  (...addresses: string[]) =>
  (_name: string, _options: unknown, callback: (error: null, found: { address: string; family: number }[]) => void): void =>
    callback(null, addresses.map((address) => ({ address, family: net.isIP(address) })));

async function pingPong(conn: Connection<Buffer, string | Uint8Array>, word = 'ping'): Promise<void> {
  await conn.write(word);
  assert.is(await readText(conn, (text) => text.length >= word.length), word);
}

test('dial: an in-memory pair of streams is a link like any other, and a fresh pair is the next', async () => {
  const others: Duplex[] = [];
  await using conn = await connect({
    ...quick,
    codec: lines(),
    dial: () => {
      const [ours, other] = pair();
      others.push(other);
      return ours;
    },
  });
  const drops: Drop<string, string>[] = [];
  conn.on('drop', (drop) => drops.push(drop));
  await conn.write('one');
  assert.is(String(others[0]!.read()), 'one\n');
  others[0]!.write('alpha\nhalf a li');
  others[0]!.end();
  await eventually(() => others.length === 2);
  others[1]!.write('beta\n');
  others[1]!.destroy();
  await eventually(() => others.length === 3);
  others[2]!.write('gamma\n');
  const read: string[] = [];
  for await (const line of conn) {
    read.push(line);
    if (read.length === 3) break;
  }
  assert.equal(read, ['alpha', 'beta', 'gamma']);
  assert.equal(drops.map(({ discarded }) => discarded), ['half a li'.length, 0]);
});

test('dial: an in-memory pair is held back both ways, and end() says goodbye to it', async () => {
  const [ours, other] = pair();
  const conn = await connect({ dial: () => ours, highWaterMark: 64 * 1024 });
  let taken = 0;
  const feed = (): void => {
    while (taken++ < 1024 && other.write(Buffer.alloc(16 * 1024)));
  };
  other.on('drain', feed);
  feed();
  await eventually(() => conn.stats.bytesRead >= 64 * 1024);
  assert.ok(conn.stats.bytesRead < 256 * 1024, `${conn.stats.bytesRead} bytes read`);
  const written = conn.write(Buffer.alloc(1024 * 1024));
  const after = conn.write('after');
  assert.ok(await isPending(after));
  let got = 0;
  other.on('data', (chunk: Buffer) => (got += chunk.length));
  await Promise.all([written, after]);
  assert.is(got, 1024 * 1024 + 5);
  const bye = once(other, 'end');
  const ended = conn.end();
  await bye;
  other.end();
  await ended;
  assert.ok(ours.destroyed);
});

test('dial: a stream that throws when it is ended is lost with that, and the connection has ended all the same', async () => {
  // A programming error of its own doesn't make the end of all a failure, either.
  for (const [writeTimeout, error] of [
    [0, new Error('no end')],
    [1_000, new Error('no end')],
    [0, new TypeError('no end')],
  ] as const) {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => void setImmediate(callback) });
    stream.end = () => {
      throw error;
    };
    const conn = await connect({ dial: () => stream, writeTimeout });
    const [link] = await Promise.all([conn.links().next(), conn.write('hello'), conn.end()]);
    assert.is((link.value?.reason as Error).message, 'no end');
    await conn.closed;
  }
});

test('dial: a connection that ends while its stream is on the way has no link of it, and reads nothing of it', async () => {
  const ends: [how: string, end: (conn: Connection, abort: () => void) => void][] = [
    ['destroy()', (conn) => void conn.destroy()],
    ['abort', (_conn, abort) => abort()],
    ['end()', (conn) => void conn.end()],
  ];
  for (const [how, end] of ends) {
    for (let turns = 0; turns < 10; turns++) {
      const abort = new AbortController();
      const streams: Duplex[] = [];
      let ended = false;
      const dial = async (): Promise<Duplex> => {
        const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
        if (streams.push(stream) > 1) {
          stream.push('too late');
          // From here to the link, the stream passes from promise to promise.
          let later = Promise.resolve();
          for (let count = 0; count < turns; count++) later = later.then(() => {});
          void later.then(() => {
            ended = true;
            end(conn, () => abort.abort());
          });
        }
        return stream;
      };
      const onLink = (): void => assert.not(ended, `${how} after ${turns} turns, and onLink is called`);
      const conn: Connection = await connect({ ...quick, closeTimeout: 1, signal: abort.signal, dial, onLink });
      streams[0]!.push(null);
      await conn.closed.catch(() => {});
      assert.ok(streams.every((stream) => stream.destroyed));
      if (how === 'end()') continue;
      const { done } = await conn[Symbol.asyncIterator]().next().catch(() => ({ done: true }));
      assert.ok(done, `${how} after ${turns} turns, and there is something to read`);
    }
  }
});

test('dial: whatever a stream is destroyed with is no mistake of this program, and it is dialled again', async () => {
  for (const mistake of [new TypeError('a'), new RangeError('Invalid WebSocket frame'), new ReferenceError('c')]) {
    const dial = (): Duplex => {
      const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
      if (++dials < 3) setImmediate(() => stream.destroy(mistake));
      return stream;
    };
    let dials = 0;
    const failures: unknown[] = [];
    // The first is lost in onLink, the second as a young link.
    const onLink = (link: Link): unknown => (dials === 1 ? link.read() : undefined);
    const connecting = connect({ ...quick, minUptime: 60_000, dial, onLink, retry: { ...quick.retry, onFailedAttempt: ({ error }) => void failures.push(error) } });
    await using conn = await connecting;
    await eventually(() => dials === 3 && conn.readyState === 'open');
    assert.is(failures.length, 2);
    assert.ok(failures.every((failure) => failure === mistake || (failure as Error).cause === mistake), String(failures));
    assert.is(conn.stats.lastError, mistake);
    conn.destroy();
  }
});

test('dial: giving up after a link that was lost with a RangeError ends with that error itself', async () => {
  const failure = new RangeError('Invalid WebSocket frame');
  const asked: unknown[] = [];
  const dial = (): Duplex => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    setImmediate(() => stream.destroy(failure));
    return stream;
  };
  const shouldRetry = ({ error }: { error: Error }): boolean => asked.push(error) < 3;
  const give = { ...quick, minUptime: 60_000, dial, retry: { ...quick.retry, shouldRetry } };
  const conn = await connect(give);
  const retries: unknown[] = [];
  conn.on('retry', ({ error }) => retries.push(error));
  assert.is(await rejection(conn.closed), failure);
  assert.equal(asked, [failure, failure, failure]);
  assert.equal(retries, [failure, failure]);
  const told: unknown[] = [];
  const onLink = (_link: Link, { signal }: { signal: AbortSignal }): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        told.push(signal.reason);
        reject(signal.reason);
      });
    });
  assert.is(await rejection(connect({ ...give, onLink, retry: { retries: 0 } })), failure);
  assert.equal(told, [failure]);
});

test('dial: a stream of something else than bytes is a mistake of this program, and ends it', async () => {
  const write = (_chunk: unknown, _encoding: string, callback: () => void): void => callback();
  const ofObjects = (): Duplex => {
    // One that keeps its error to itself.
    const stream = new Duplex({ readableObjectMode: true, read() {}, write, destroy: (_error, callback) => callback(null) });
    stream.push({ not: 'bytes' });
    return stream;
  };
  const pushesObjects = (): Duplex => {
    const stream = new Duplex({ read() {}, write });
    setImmediate(() => stream.push({ not: 'bytes' }));
    return stream;
  };
  const streams: [dial: () => Duplex, message: string][] = [
    [() => Duplex.from(async function* () { yield { not: 'bytes' }; }), 'a stream of objects'],
    [ofObjects, 'a stream of objects'],
    [pushesObjects, 'chunk'],
  ];
  for (const minUptime of [0, 60_000]) {
    for (const [dial, message] of streams) {
      const conn = await connect({ ...quick, minUptime, dial });
      const error = await rejection(conn.closed);
      assert.instance(error, TypeError);
      assert.match(error.message, message);
      assert.is(conn.stats.links, 1);
    }
  }
});

test('dial: a refusal that comes together with the goodbye is heard: an AbortError ends it', async () => {
  const refusal = new Error('wrong password');
  let dials = 0;
  const dial = (): Duplex => {
    dials += 1;
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    stream.push('ERR');
    stream.push(null);
    return stream;
  };
  const onLink = async (link: Link): Promise<void> => {
    if (String(await link.read()) === 'ERR') throw new AbortError(refusal);
  };
  assert.is(await rejection(connect({ ...quick, dial, onLink })), refusal);
  assert.is(dials, 1);
});

test('dial: an AbortError that onLink returns, and does not throw, is no refusal, also when its link is lost meanwhile', async () => {
  let dials = 0;
  const dial = (): Duplex => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    stream.push('hello');
    if (++dials === 1) stream.push(null);
    return stream;
  };
  const onLink = async (link: Link): Promise<unknown> => {
    await link.read();
    return new AbortError('returned');
  };
  const conn = await connect({ ...quick, closeTimeout: 1, dial, onLink });
  assert.is(dials, 2);
  await conn.end();
});

test('dial: a stream that throws when it is destroyed does not change why an attempt failed, nor comes late for nothing', async () => {
  const failure = new Error('not yet');
  const dial = async ({ attempt, signal }: DialContext): Promise<Duplex> => {
    // The second is late.
    if (attempt === 2) await once(signal, 'abort');
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
    stream.destroy = () => {
      throw new TypeError('a mistake in destroy()');
    };
    streams.push(stream);
    return stream;
  };
  const streams: Duplex[] = [];
  const errors: { message: string; code?: string }[] = [];
  const onLink = (): never => {
    throw failure;
  };
  const retry = { ...quick.retry, retries: 2, onFailedAttempt: ({ error }: { error: Error }) => void errors.push(error) };
  assert.is(await rejection(connect({ ...quick, connectTimeout: 30, dial, onLink, retry })), failure);
  assert.is(errors[0], failure);
  assert.is(errors[1]?.code, 'ERR_RECON_TIMEOUT');
  await eventually(() => streams.length === 3);
});

test('dial: the stdio of a child process, which is started again when it dies', async () => {
  const children: ChildProcess[] = [];
  const exits: Promise<unknown>[] = [];
  const conn = await connect({
    ...quick,
    dial: () => {
      const child = spawn('cat', [], { stdio: ['pipe', 'pipe', 'ignore'] });
      children.push(child);
      exits.push(once(child, 'exit'));
      return Duplex.from({ readable: child.stdout, writable: child.stdin });
    },
  });
  try {
    await pingPong(conn, 'one');
    const up = next(conn, 'reconnect');
    children[0]!.kill('SIGKILL');
    await up;
    await pingPong(conn, 'two');
    assert.is(children.length, 2);
    await conn.end();
    // Its input was closed, so it has ended by itself.
    await Promise.all(exits);
    assert.is(children[1]!.exitCode, 0);
  } finally {
    conn.destroy();
    for (const child of children) child.kill('SIGKILL');
  }
});

test('dial: a program that is not there is an error of the attempt', async () => {
  const error = await rejection(
    connect({
      retry: { retries: 1, minTimeout: 1 },
      dial: async () => {
        const child = spawn('/nonexistent/program', { stdio: ['pipe', 'pipe', 'ignore'] });
        await once(child, 'spawn');
        return Duplex.from({ readable: child.stdout, writable: child.stdin });
      },
    }),
  );
  assert.is(error.code, 'ENOENT');
});

test('dial: a TLS socket that is still in its handshake is waited for', async () => {
  await using peer = await TlsPeer.start({ ...good, echo: true });
  const states: boolean[] = [];
  await using conn = await connect({
    ...quick,
    dial: () => tls.connect({ port: peer.port, host: 'localhost', ca }),
    onLink: ({ socket }) => states.push((socket as tls.TLSSocket).authorized),
  });
  await pingPong(conn);
  const up = next(conn, 'reconnect');
  peer.links[0]!.end();
  await up;
  assert.equal(states, [true, true]);
  await pingPong(conn);
});

test('dial: a promise of a TLS socket, over a TCP socket of its own that is still connecting', async () => {
  await using peer = await TlsPeer.start({ ...good, echo: true });
  await using conn = await connect({
    dial: async () => tls.connect({ socket: net.connect(peer.port, '127.0.0.1'), host: 'localhost', servername: 'localhost', ca }),
  });
  await pingPong(conn);
});

test('dial: a certificate that does not verify ends it at once, as without dial', async () => {
  await using peer = await TlsPeer.start(authority.issue({ names: ['elsewhere.test'] }));
  const error = await rejection(connect({ ...quick, dial: () => tls.connect({ port: peer.port, host: 'localhost', ca }) }));
  assert.is(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  assert.is(peer.connections.length, 1);
});

for (const [what, brings] of [
  ['a TCP socket', () => net.connect(1, '127.0.0.1')],
  ['a TLS socket', () => tls.connect(1, '127.0.0.1')],
  ['a stream', () => new Duplex({ read() {}, write() {} }).destroy()],
] as const) {
  test(`dial: ${what} that is closed already fails its attempt at once, not after connectTimeout`, async () => {
    const dial = async (): Promise<Duplex> => {
      const socket = brings();
      socket.on('error', () => {});
      if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
      return socket;
    };
    const error = await rejection(connect({ dial, connectTimeout: 2_000, retry: { retries: 0 } }));
    assert.is.not(error.code, 'ERR_RECON_TIMEOUT');
  });
}

test('dial: is told the attempt, anew after a link that lasted, and may look its address up each time', async () => {
  await using peer = await Peer.start({ echo: true });
  const dead = await Peer.freePort();
  const told: number[] = [];
  const ports = [dead, dead, peer.port, dead, peer.port];
  await using conn = await connect({
    ...quick,
    dial: ({ attempt }) => {
      told.push(attempt);
      return net.connect(ports.shift()!, '127.0.0.1');
    },
  });
  const up = next(conn, 'reconnect');
  peer.links[0]!.end();
  await up;
  assert.equal(told, [1, 2, 3, 1, 2]);
  await pingPong(conn);
});

test('endpoints of mixed kinds stand in for each other: a dead port, a Unix socket, TLS, IPv6', async () => {
  await inFolder(async (path) => {
    const dead = await Peer.freePort();
    await using unix = await Peer.start({ path, echo: true });
    await using secure = await TlsPeer.start({ ...good, echo: true });
    await using six = await Peer.start({ host: '::1', echo: true });
    const endpoints = [
      `127.0.0.1:${dead}`,
      `unix:${path}`,
      { port: secure.port, tls: { ca } },
      new URL(`tcp://[::1]:${six.port}`),
    ];
    await using conn = await connect({ ...quick, endpoints });
    const peers: string[] = [];
    const kinds = [unix, secure, six];
    for (let round = 0; round < 6; round++) {
      await pingPong(conn, `round ${round}`);
      peers.push((await here(conn)).peer);
      const up = next(conn, 'reconnect');
      kinds[round % 3]!.links.at(-1)!.end();
      await up;
    }
    const turn = [`unix:${path}`, `tls://localhost:${secure.port}`, `tcp://[::1]:${six.port}`];
    assert.equal(peers, [...turn, ...turn]);
    await unix.stop();
    await secure.stop();
    const written = conn.write('to whoever is left');
    for (const link of [...six.links]) link.end();
    await written;
    await eventually(() => six.links.some(({ text }) => text.includes('to whoever is left')));
  });
});

test('endpoints complete each other from the options, and tcp: among them stays plain', async () => {
  await using secure = await TlsPeer.start({ ...good, echo: true });
  await using plain = await Peer.start({ echo: true });
  const endpoints = [`tls://localhost:${secure.port}`, `tcp://127.0.0.1:${plain.port}`, secure.port];
  await using conn = await connect({ ...quick, tls: { ca }, endpoints });
  for (const [encrypted, peer] of [[true, secure], [false, plain], [true, secure]] as const) {
    assert.is('encrypted' in (await here(conn)).socket, encrypted);
    await pingPong(conn);
    const up = next(conn, 'reconnect');
    peer.links.at(-1)!.end();
    await up;
  }
});

test('a name with several addresses of which the first is dead', async () => {
  await using peer = await Peer.start({ echo: true });
  await using secure = await TlsPeer.start({ ...good, echo: true });
  const lookup = lookupOf('127.0.0.2', '127.0.0.3', '127.0.0.1') as never;
  const dial = (): net.Socket => net.connect({ port: peer.port, host: 'several.test', lookup });
  for (const form of [{ dial }, { port: secure.port, tls: { ca, lookup } }]) {
    await using conn = await connect({ ...quick, ...form });
    await pingPong(conn);
    const up = next<Link>(conn, 'reconnect');
    (form.dial ? peer : secure).links[0]!.end();
    const { socket } = await up;
    assert.is((socket as net.Socket).remoteAddress, '127.0.0.1');
    await pingPong(conn);
    assert.is(conn.stats.attempts, 2, 'the dead addresses cost no attempt');
  }
});

test('TLS to the second address still sends the name, and verifies it', async () => {
  await using peer = await TlsPeer.start(authority.issue({ names: ['several.test'] }));
  const lookup = lookupOf('127.0.0.2', '127.0.0.1') as never;
  await using conn = await connect(peer.port, 'several.test', { tls: { ca, lookup } });
  assert.is((await peer.nextLink()).socket.servername, 'several.test');
  assert.ok(((await here(conn)).socket as tls.TLSSocket).authorized);
  const error = await rejection(connect(peer.port, 'other.test', { tls: { ca, lookup } }));
  assert.is(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
});

test('localhost is found on 127.0.0.1 alone and on ::1 alone', async () => {
  for (const host of ['127.0.0.1', '::1']) {
    await using peer = await Peer.start({ host, echo: true });
    const lookup = lookupOf('::1', '127.0.0.1') as never;
    await using conn = await connect({ dial: () => net.connect({ port: peer.port, host: 'localhost', lookup }) });
    await pingPong(conn);
  }
});

test('a name all of whose addresses are dead: the error has a code, and its message names each', async () => {
  const port = await Peer.freePort();
  const lookup = lookupOf('127.0.0.2', '127.0.0.3') as never;
  const error = await rejection(connect(port, 'several.test', { tls: { ca, lookup }, retry: { retries: 0 } }));
  assert.is(error.code, 'ECONNREFUSED');
  for (const address of ['127.0.0.2', '127.0.0.3']) assert.match(error.message, `${address}:${port}`);
});

test('a name that nobody knows is waited for, as it may be known tomorrow', async () => {
  await using peer = await TlsPeer.start({ ...good, echo: true });
  let known = false;
  const lookup = (name: string, _options: unknown, callback: (...args: unknown[]) => void): void => {
    if (known) callback(null, [{ address: '127.0.0.1', family: 4 }]);
    else callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }));
  };
  const codes: (string | undefined)[] = [];
  const onFailedAttempt = ({ error }: { error: Error & { code?: string } }): void => {
    codes.push(error.code);
    known = codes.length === 3;
  };
  await using conn = await connect(peer.port, {
    ...quick,
    retry: { ...quick.retry, onFailedAttempt },
    tls: { ca, lookup: lookup as never },
  });
  assert.equal(codes, ['ENOTFOUND', 'ENOTFOUND', 'ENOTFOUND']);
  await pingPong(conn);
});

test('unref() holds for the next link too, also where the first of its addresses is dead', async () => {
  await using peer = await Peer.start();
  for (const addresses of [['127.0.0.1'], ['127.0.0.2', '127.0.0.1']]) {
    const lookup = lookupOf(...addresses) as never;
    await using conn = await connect({ ...quick, dial: () => net.connect({ port: peer.port, host: 'several.test', lookup }) });
    conn.unref();
    const up = next<Link>(conn, 'reconnect');
    (await peer.nextLink()).end();
    const { socket } = await up;
    await peer.nextLink();
    const { _handle } = socket as unknown as { _handle: { hasRef(): boolean } };
    assert.is(_handle.hasRef(), false, String(addresses));
    conn.ref();
    assert.is(_handle.hasRef(), true, String(addresses));
  }
});

test('IPv6: goes on with a server that was started again', async () => {
  await using peer = await Peer.start({ host: '::1', echo: true });
  await using conn = await connect(peer.port, '::1', quick);
  const link = await here(conn);
  assert.is(link.peer, `tcp://[::1]:${peer.port}`);
  assert.is((link.socket as net.Socket).remoteAddress, '::1');
  const up = next(conn, 'reconnect');
  await peer.stop();
  await peer.start();
  await up;
  await pingPong(conn);
});

/** What Linux tells of a socket: milliseconds until its first keepalive probe. */
function keepAliveOf(socket: net.Socket): number | undefined {
  const port = socket.localPort!.toString(16).padStart(4, '0').toUpperCase();
  const row = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((columns) => columns[1]?.endsWith(`:${port}`) && columns[3] === '01');
  // Timer 2 is keepalive's; its time is in hundredths of a second.
  const [timer, when = ''] = row?.[5]?.split(':') ?? [];
  return timer === '02' ? parseInt(when, 16) * 10 : undefined;
}

/** What Node remembers to have told the system. */
const flagOf = (socket: net.Socket, name: string): unknown => {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === name);
  return symbol && (socket as unknown as Record<symbol, unknown>)[symbol];
};

const sockets: [kind: string, start: (onLink: (link: PeerLink) => void) => Promise<Peer | TlsPeer>, place: ConnectOptions][] = [
  ['TCP', (onLink) => Peer.start({ onLink }), { host: '127.0.0.1' }],
  ['TLS', (onLink) => TlsPeer.start({ ...good, onLink }), { host: '127.0.0.1', tls: { ca } }],
  ['TLS, at the second of two addresses', (onLink) => TlsPeer.start({ ...good, onLink }), { tls: { ca, lookup: lookupOf('127.0.0.2', '127.0.0.1') as never } }],
];

for (const [kind, start, place] of sockets) {
  test(`noDelay and keepAlive reach the socket on every link (${kind})`, async () => {
    await using peer = await start((link) => void link.send('hello'));
    if (!existsSync('/proc/net/tcp')) console.log('skipped: no /proc/net/tcp to ask for the keepalive timer');
    for (const [options, noDelay, keepAlive] of [
      [{}, true, 10_000],
      [{ keepAliveInitialDelay: 60_000 }, true, 60_000],
      [{ noDelay: false, keepAlive: false }, false, undefined],
    ] as const) {
      await using conn = await connect({ ...quick, port: peer.port, ...place, ...options });
      for (let round = 0; round < 2; round++) {
        await readText(conn, (text) => text === 'hello');
        const socket = (await here(conn)).socket as net.Socket;
        assert.is(Boolean(flagOf(socket, 'kSetNoDelay')), noDelay);
        assert.is(Boolean(flagOf(socket, 'kSetKeepAlive')), keepAlive !== undefined);
        if (existsSync('/proc/net/tcp')) {
          // The system tells of one timer: while something is unacknowledged, of another.
          if (keepAlive !== undefined) await eventually(() => keepAliveOf(socket) !== undefined);
          const left = keepAliveOf(socket);
          if (keepAlive === undefined) assert.is(left, undefined);
          else assert.ok(left !== undefined && left > keepAlive - 5_000 && left <= keepAlive, `${left} of ${keepAlive} ms`);
        }
        if (round > 0) break;
        const up = next(conn, 'reconnect');
        peer.links.at(-1)!.end();
        await up;
      }
    }
  });
}

test('a Unix socket: waited for while it is missing, found again when its server is started again', async () => {
  await inFolder(async (path) => {
    const codes: (string | undefined)[] = [];
    const retry = { ...quick.retry, onFailedAttempt: ({ error }: { error: Error & { code?: string } }) => void codes.push(error.code) };
    const connecting = connect(`unix:${path}`, { ...quick, retry });
    await eventually(() => codes.length >= 2);
    assert.is(codes[0], 'ENOENT');
    await using peer = await Peer.start({ path, echo: true });
    await using conn = await connecting;
    await pingPong(conn, 'one');
    for (let round = 0; round < 2; round++) {
      await peer.stop();
      await eventually(() => conn.readyState === 'reopening');
      const written = conn.write('while it was away');
      const up = next(conn, 'reconnect');
      await peer.start();
      await up;
      await written;
      await peer.links.at(-1)!.until('while it was away');
      await readText(conn, (text) => text === 'while it was away');
    }
  });
});

test('a Unix socket that a killed server left behind is dialled until there is a new one', async () => {
  await inFolder(async (path) => {
    const serve = `require('node:net').createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(process.argv[1], () => console.log('up'))`;
    const start = async (): Promise<ChildProcess> => {
      const child = spawn(process.execPath, ['-e', serve, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      return child;
    };
    const kill = async (child: ChildProcess): Promise<void> => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    };
    const first = await start();
    const codes: unknown[] = [];
    const conn = await connect(`unix:${path}`, quick);
    try {
      conn.on('retry', ({ error }) => codes.push(error.code));
      await pingPong(conn);
      await kill(first);
      await eventually(() => codes.includes('ECONNREFUSED'));
      rmSync(path);
      const second = await start();
      try {
        await pingPong(conn, 'again');
        await conn.end();
      } finally {
        await kill(second);
      }
    } finally {
      conn.destroy();
      first.kill('SIGKILL');
    }
  });
});

test.run();
