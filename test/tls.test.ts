import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { connect, type Connection, type Drop, lines, type Link, type Retry } from 'recon';
import * as assert from 'uvu/assert';
import { Authority, type Certificate } from './certificates.js';
import { digest, here, isPending, next, quick, readText, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { Proxy } from './proxy.js';
import { suite } from './suite.js';
import { TlsPeer } from './tls-peer.js';

const test = suite('tls');

const DAY = 24 * 60 * 60 * 1000;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

const authority = new Authority();
const ca = authority.cert;
const good = authority.issue();
const another = authority.issue();
const stranger = new Authority('somebody whom nobody knows');

/** Certificates that must be refused, and what the system says of them. */
const BAD: [what: string, certificate: Certificate, code: string][] = [
  ['of a wrong name', authority.issue({ names: ['elsewhere.test'] }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['that has expired', authority.issue({ until: new Date(Date.now() - DAY / 2) }), 'CERT_HAS_EXPIRED'],
  ['that is not valid yet', authority.issue({ from: new Date(Date.now() + DAY / 2) }), 'CERT_NOT_YET_VALID'],
  ['of an unknown CA', stranger.issue(), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ['that signed itself', stranger, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
];

/** The others that Node's documentation of `tls` lists as "X509 certificate error codes", but for OUT_OF_MEM. */
const X509_CODES = [
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_GET_CRL', 'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY'],
  ...['UNABLE_TO_DECRYPT_CERT_SIGNATURE', 'UNABLE_TO_DECRYPT_CRL_SIGNATURE', 'CERT_SIGNATURE_FAILURE', 'CRL_SIGNATURE_FAILURE'],
  ...['CRL_NOT_YET_VALID', 'CRL_HAS_EXPIRED', 'ERROR_IN_CERT_NOT_BEFORE_FIELD', 'ERROR_IN_CERT_NOT_AFTER_FIELD'],
  ...['ERROR_IN_CRL_LAST_UPDATE_FIELD', 'ERROR_IN_CRL_NEXT_UPDATE_FIELD', 'SELF_SIGNED_CERT_IN_CHAIN', 'CERT_CHAIN_TOO_LONG'],
  ...['CERT_REVOKED', 'INVALID_CA', 'PATH_LENGTH_EXCEEDED', 'INVALID_PURPOSE', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'HOSTNAME_MISMATCH'],
];

const tlsOf = (link: Link<any, any>): tls.TLSSocket => link.socket as tls.TLSSocket;

/** Has its link dropped by the server, and returns the next. */
async function redial(conn: Connection<any, any>, peer: TlsPeer): Promise<Link> {
  const up = next<Link>(conn, 'reconnect');
  peer.links.at(-1)!.end();
  return up;
}

test('verifies the certificate, with the host as its name, however the place is told', async () => {
  await using peer = await TlsPeer.start({ ...good, echo: true });
  const { port } = peer;
  const forms = [
    [port, { tls: { ca } }],
    [`tls://localhost:${port}`, { tls: { ca } }],
    [new URL(`tls://localhost:${port}`), { tls: { ca } }],
    [{ endpoints: [`tls://localhost:${port}`], tls: { ca } }],
    [{ endpoints: [{ port, tls: { ca } }] }],
  ];
  for (const form of forms) {
    await using conn = await connect(...(form as [number]));
    const { socket, peer: name } = await here(conn);
    assert.ok((socket as tls.TLSSocket).authorized);
    assert.is(name, `tls://localhost:${port}`);
    await conn.write('ping');
    assert.is(await readText(conn, (text) => text.length === 4), 'ping');
  }
  assert.equal(peer.links.map(({ socket }) => (socket as { servername?: unknown }).servername), forms.map(() => 'localhost'));
});

test('verifies an IP address too, IPv4 and IPv6, and sends no server name then', async () => {
  for (const host of ['127.0.0.1', '::1']) {
    await using peer = await TlsPeer.start({ ...good, host });
    await using conn = await connect(peer.port, host, { tls: { ca } });
    assert.ok(tlsOf(await here(conn)).authorized);
    assert.not((await peer.nextLink()).socket.servername);
    await redial(conn, peer);
    assert.ok(!tlsOf(await here(conn)).destroyed);
  }
  await using peer = await TlsPeer.start(authority.issue({ names: ['localhost'] }));
  const error = await rejection(connect(peer.port, '127.0.0.1', { tls: { ca } }));
  assert.is(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
});

test('a servername of the options stands in for the host', async () => {
  await using peer = await TlsPeer.start(authority.issue({ names: ['elsewhere.test'] }));
  await using conn = await connect(peer.port, { tls: { ca, servername: 'elsewhere.test' } });
  assert.ok(tlsOf(await here(conn)).authorized);
  assert.is((await peer.nextLink()).socket.servername, 'elsewhere.test');
});

test('a TLS option that is undefined counts as absent', async () => {
  await using peer = await TlsPeer.start({ ...good, onLink: (link) => void link.send('hello') });
  await using conn = await connect(peer.port, { ...quick, tls: { ca, servername: undefined, session: undefined } as object });
  await readText(conn, (text) => text === 'hello');
  assert.is((await peer.nextLink()).socket.servername, 'localhost');
  assert.ok(tlsOf(await redial(conn, peer)).isSessionReused());
});

test('a path among the options of TLS does not lead away from the port', async () => {
  await using peer = await TlsPeer.start(good);
  await using conn = await connect(peer.port, { tls: { ca, path: '/nowhere' }, retry: { retries: 0 } });
  assert.ok(tlsOf(await here(conn)).authorized);
});

test('a certificate is refused that only the tests vouch for, unless their CA is told', async () => {
  await using peer = await TlsPeer.start(good);
  const error = await rejection(connect(`tls://localhost:${peer.port}`));
  assert.is(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.is(peer.connections.length, 1);
});

for (const [what, bad, code] of BAD) {
  test(`a certificate ${what} on the first link ends it at once, with the system's own error`, async () => {
    await using peer = await TlsPeer.start(bad);
    const error = await rejection(connect(peer.port, { ...quick, tls: { ca } }));
    assert.is(error.code, code);
    assert.is(peer.connections.length, 1, 'it was not retried');
  });

  for (const version of VERSIONS) {
    test(`a certificate ${what} on a later link is retried until it is mended, and gets no byte (${version})`, async () => {
      await using peer = await TlsPeer.start({ ...good, minVersion: version, maxVersion: version });
      await using conn = await connect(peer.port, { ...quick, tls: { ca } });
      peer.show(bad);
      const errors: unknown[] = [];
      conn.on('retry', ({ error }: Retry) => errors.push(error.code));
      (await peer.nextLink()).end();
      await next(conn, 'drop');
      const written = conn.write('for trusted eyes');
      const up = next<Link>(conn, 'reconnect');
      await eventually(() => errors.length >= 3);
      assert.ok(await isPending(written));
      peer.show(another);
      const link = await up;
      assert.equal(new Set(errors), new Set([code]));
      assert.is(tlsOf(link).getPeerX509Certificate()?.toString(), another.cert.toString());
      await written;
      // With TLS 1.3 the server is done before the client refuses it: these links are in the list, too.
      await eventually(() => peer.links.some(({ text }) => text !== ''));
      const heard = peer.links.filter(({ text }) => text !== '');
      assert.equal(heard.map(({ text }) => text), ['for trusted eyes']);
      assert.is(heard[0], peer.links.at(-1));
    });
  }
}

test('each code that Node has for a certificate that does not verify ends it at once on the first link', async () => {
  for (const code of X509_CODES) {
    let dials = 0;
    const refused = Object.assign(new Error('refused'), { code });
    const dial = (): never => {
      dials += 1;
      throw refused;
    };
    assert.is(await rejection(connect({ dial, retry: { retries: 1, minTimeout: 1 } })), refused);
    assert.is(dials, 1, code);
  }
});

for (const version of VERSIONS) {
  const options = { ...good, minVersion: version, maxVersion: version };

  test(`the session is resumed at each redial, also with the next server process (${version})`, async () => {
    const ticketKeys = randomBytes(48);
    await using peer = await TlsPeer.start({ ...options, ticketKeys, onLink: (link) => void link.send('hello') });
    await using conn = await connect(peer.port, { ...quick, tls: { ca } });
    // TLS 1.3 sends its tickets before what the server says.
    await readText(conn, (text) => text === 'hello');
    assert.not(tlsOf(await here(conn)).isSessionReused());
    for (let round = 0; round < 3; round++) {
      const link = await redial(conn, peer);
      assert.ok(tlsOf(link).isSessionReused(), `redial ${round}`);
      assert.ok(tlsOf(link).authorized);
      await readText(conn, (text) => text === 'hello');
    }
    const up = next<Link>(conn, 'reconnect');
    await peer.stop();
    await peer.start();
    assert.ok(tlsOf(await up).isSessionReused());
  });

  test(`a session that the server has forgotten costs nothing but a full handshake (${version})`, async () => {
    await using peer = await TlsPeer.start({ ...options, onLink: (link) => void link.send('hello') });
    await using conn = await connect(peer.port, { ...quick, tls: { ca } });
    await readText(conn, (text) => text === 'hello');
    peer.show(another);
    assert.not(tlsOf(await redial(conn, peer)).isSessionReused());
    assert.is(conn.stats.attempts, 2);
    await readText(conn, (text) => text === 'hello');
    assert.ok(tlsOf(await redial(conn, peer)).isSessionReused());
  });

  test(`the newest ticket is offered, also where the options brought one of another server (${version})`, async () => {
    await using other = await TlsPeer.start({ ...options, onLink: (link) => void link.send('hello') });
    let session: Buffer | undefined;
    const socket = tls.connect({ port: other.port, host: 'localhost', ca });
    socket.on('session', (ticket) => (session = ticket));
    await once(socket, 'data');
    await eventually(() => session !== undefined);
    socket.destroy();
    await using peer = await TlsPeer.start({ ...options, onLink: (link) => void link.send('hello') });
    await using conn = await connect(peer.port, { ...quick, tls: { ca, session } });
    await readText(conn, (text) => text === 'hello');
    assert.not(tlsOf(await here(conn)).isSessionReused());
    assert.ok(tlsOf(await redial(conn, peer)).isSessionReused());
  });

  test(`the session is resumed also where the first of the host's addresses is dead (${version})`, async () => {
    await using peer = await TlsPeer.start({ ...options, onLink: (link) => void link.send('hello') });
    const lookup = (_name: string, _options: unknown, callback: (error: null, found: object[]) => void): void =>
      callback(null, [{ address: '127.0.0.2', family: 4 }, { address: '127.0.0.1', family: 4 }]);
    await using conn = await connect(peer.port, { ...quick, tls: { ca, lookup: lookup as never } });
    await readText(conn, (text) => text === 'hello');
    assert.ok(tlsOf(await redial(conn, peer)).isSessionReused());
  });

  test(`bytes that arrive together with the end of the handshake are not lost (${version})`, async () => {
    const message = randomBytes(100_000);
    await using peer = await TlsPeer.start({
      ...options,
      onLink: ({ socket }) => {
        socket.write('first,');
        socket.end(message);
      },
    });
    // Only so does the first of them share a segment with the server's last word of the handshake (TLS 1.2).
    await using proxy = await Proxy.start(peer.port, { gather: 20 });
    await using conn = await connect(proxy.port, { ...quick, tls: { ca } });
    let count = 0;
    for await (const link of conn.links()) {
      const chunks: Buffer[] = [];
      for await (const chunk of link) chunks.push(chunk);
      const all = Buffer.concat(chunks);
      assert.is(all.subarray(0, 6).toString(), 'first,');
      assert.is(digest(all.subarray(6)), digest(message));
      if (++count === 5) break;
    }
    conn.destroy();
  });

  test(`a greeting that arrives together with the end of the handshake reaches onLink (${version})`, async () => {
    await using peer = await TlsPeer.start({ ...options, onLink: (link) => void link.send('hello\nnews\n') });
    const greetings: string[] = [];
    await using conn = await connect(peer.port, {
      ...quick,
      codec: lines(),
      tls: { ca },
      onLink: async (link) => {
        await sleep(20);
        greetings.push(await link.read());
      },
    });
    assert.is(await readText(conn, () => true), 'news');
    await redial(conn, peer);
    assert.equal(greetings, ['hello', 'hello']);
  });

  test(`a goodbye is a goodbye, and a reset is one: neither takes away what was received (${version})`, async () => {
    await using peer = await TlsPeer.start(options);
    await using conn = await connect(peer.port, { ...quick, tls: { ca } });
    const drops: Drop<Buffer, unknown>[] = [];
    conn.on('drop', (drop) => drops.push(drop));
    const first = await peer.nextLink();
    await first.send('one,');
    first.end();
    const second = await peer.nextLink();
    await second.send('two,'.repeat(10_000));
    await eventually(() => conn.stats.bytesRead === 40_004);
    peer.reset();
    const third = await peer.nextLink();
    await third.send('three');
    assert.is(await readText(conn, (text) => text.endsWith('three')), `one,${'two,'.repeat(10_000)}three`);
    assert.equal(drops.map(({ reason }) => reason?.code), [undefined, 'ECONNRESET']);
  });
}

test('a server that is reset in the middle of the handshake is dialled again', async () => {
  let connections = 0;
  await using plain = await Peer.start({ onLink: (link) => (connections++, link.socket.once('data', () => link.reset())) });
  await using peer = await TlsPeer.start(good);
  const endpoints = [plain.port, plain.port, peer.port].map((port) => ({ port, tls: { ca } }));
  await using conn = await connect({ ...quick, endpoints });
  assert.is(connections, 2);
  assert.is(conn.stats.links, 1);
});

test('a slow reader slows the peer through TLS, and nothing is lost', async () => {
  await using peer = await TlsPeer.start(good);
  await using conn = await connect(peer.port, { tls: { ca }, highWaterMark: 64 * 1024 });
  const data = randomBytes(32 * 1024 * 1024);
  const link = await peer.nextLink();
  const sent = link.send(data);
  await eventually(() => conn.stats.bytesRead >= 64 * 1024);
  await sleep(100);
  assert.ok(await isPending(sent));
  assert.ok(conn.stats.bytesRead < 512 * 1024, `${conn.stats.bytesRead} bytes read`);
  const hash = createHash('sha1');
  let read = 0;
  for await (const chunk of conn) {
    hash.update(chunk);
    if ((read += chunk.length) === data.length) break;
  }
  assert.is(hash.digest('hex'), digest(data));
});

test('a peer that does not read holds back our writes through TLS, and gets them whole', async () => {
  await using peer = await TlsPeer.start(good);
  for (const writeTimeout of [0, 5_000]) {
    await using conn = await connect(peer.port, { tls: { ca }, writeTimeout });
    const link = await peer.nextLink();
    link.pause();
    const data = randomBytes(16 * 1024 * 1024);
    const written = conn.write(data);
    await sleep(50);
    assert.ok(await isPending(written));
    assert.is(conn.bufferedAmount, data.length);
    link.resume();
    await written;
    await link.untilLength(data.length);
    assert.is(digest(link.received), digest(data));
  }
});

test('end() through TLS flushes, says goodbye and lets a reader finish', async () => {
  await using peer = await TlsPeer.start({ ...good, allowHalfOpen: true });
  const conn = await connect(peer.port, { tls: { ca } });
  const link = await peer.nextLink();
  const read = readText(conn, () => false);
  const ended = conn.end('bye');
  await link.ended;
  assert.is(link.text, 'bye');
  await link.send('last words');
  link.end();
  await ended;
  assert.is(await read, 'last words');
});

test('a TLS handshake that stays silent is given up after connectTimeout, and its socket closed', async () => {
  await using peer = await Peer.start();
  const attempt = connect(peer.port, { tls: { ca }, connectTimeout: 30, retry: { retries: 0 } });
  const error = await rejection(attempt);
  assert.is(error.code, 'ERR_RECON_TIMEOUT');
  await (await peer.nextLink()).closed;
});

for (const [how, stop] of [
  ['an abort', (controller: AbortController) => controller.abort(new Error('enough'))],
  ['destroy()', (_controller: AbortController, conn?: Connection) => conn?.destroy()],
] as const) {
  test(`${how} in a silent TLS handshake ends it at once, and closes its socket`, async () => {
    await using silent = await Peer.start();
    await using peer = await TlsPeer.start(good);
    const controller = new AbortController();
    const endpoints = [peer.port, silent.port].map((port) => ({ port, tls: { ca } }));
    const conn = await connect({ ...quick, connectTimeout: 0, endpoints, signal: controller.signal });
    (await peer.nextLink()).end();
    const hello = await silent.nextLink();
    await hello.untilLength(1);
    stop(controller, conn);
    if (how === 'destroy()') await conn.closed;
    else assert.is((await rejection(conn.closed)).message, 'enough');
    await hello.closed;
  });
}

test('an abort in the silent TLS handshake of the first link rejects connect() with its reason', async () => {
  await using silent = await Peer.start();
  const controller = new AbortController();
  const connecting = connect(silent.port, { tls: true, signal: controller.signal });
  const hello = await silent.nextLink();
  await hello.untilLength(1);
  controller.abort(new Error('enough'));
  assert.is((await rejection(connecting)).message, 'enough');
  await hello.closed;
});

test('TLS to a plain port: the error says what is wrong', async () => {
  await using talker = await Peer.start({ onLink: (link) => void link.send('220 mail.example.com ESMTP\r\n') });
  await using echo = await Peer.start({ echo: true });
  await using closer = await Peer.start({ onLink: ({ socket }) => socket.once('data', () => socket.end()) });
  const retry = { retries: 0 };
  const talked = await rejection(connect(talker.port, { tls: true, retry }));
  assert.is(talked.code, 'ERR_SSL_WRONG_VERSION_NUMBER');
  const echoed = await rejection(connect(echo.port, { tls: true, retry }));
  assert.match(echoed.message, /SSL|TLS/);
  const closed = await rejection(connect(closer.port, { tls: true, retry }));
  assert.is(closed.code, 'ECONNRESET');
  assert.match(closed.message, 'before secure TLS connection was established');
});

test('TLS to a plain port is retried, as the port may be another tomorrow, and not in a tight loop', async () => {
  await using peer = await Peer.start({ onLink: (link) => void link.send('220 hello\r\n') });
  const delays: number[] = [];
  const onFailedAttempt = ({ error }: { error: Error & { code?: string } }): void => {
    delays.push(performance.now());
    assert.is(error.code, 'ERR_SSL_WRONG_VERSION_NUMBER');
  };
  await rejection(connect(peer.port, { tls: true, retry: { retries: 3, minTimeout: 20, factor: 1, randomize: false, onFailedAttempt } }));
  assert.is(peer.links.length, 4);
  assert.ok(delays.at(-1)! - delays[0]! > 50);
});

test('plain to a TLS port: the waits grow, and the last error names the place', async () => {
  await using peer = await TlsPeer.start(good);
  const delays: number[] = [];
  await using conn = await connect(peer.port, { retry: { retries: 3, minTimeout: 1, factor: 2, randomize: false } });
  conn.on('retry', ({ delay }) => delays.push(delay));
  const written = conn.write('hello, is there anybody?\n'.repeat(100)).catch(() => {});
  // Nothing goes out on later links, so the peer must find them wrong by itself.
  conn.on('reconnect', (link) => void link.write('hello, is there anybody?\n'.repeat(100)).catch(() => {}));
  const error = await rejection(conn.closed);
  await written;
  assert.equal(delays, [1, 2, 4]);
  assert.ok(error.code === 'ERR_RECON_DROPPED' || error.code === 'ECONNRESET', String(error));
  if (error.code === 'ERR_RECON_DROPPED') assert.match(error.message, `tcp://localhost:${peer.port}`);
});

test('a server that refuses our certificate after the handshake (TLS 1.3) is a drop that says so', async () => {
  await using peer = await TlsPeer.start({ ...good, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' });
  await using conn = await connect(peer.port, { tls: { ca }, retry: { retries: 0 } });
  const error = await rejection(conn.closed);
  assert.is(error.code, 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  assert.is(conn.stats.links, 1);
});

test('a certificate of our own is shown to the server that asks for it', async () => {
  await using peer = await TlsPeer.start({ ...good, ca, requestCert: true, rejectUnauthorized: true });
  const { cert, key } = authority.issue({ names: ['client.test'] });
  await using conn = await connect(peer.port, { ...quick, tls: { ca, cert, key } });
  assert.is((await peer.nextLink()).socket.getPeerCertificate().subject.CN, 'client.test');
  await redial(conn, peer);
  assert.ok((await peer.nextLink()).socket.authorized);
});

test('TLS over a Unix socket, which sends no server name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'recon-'));
  try {
    const path = join(folder, 'socket');
    await using peer = await TlsPeer.start({ ...good, path, echo: true });
    await using conn = await connect({ path, ...quick, tls: { ca } });
    assert.not((await peer.nextLink()).socket.servername);
    await conn.write('ping');
    assert.is(await readText(conn, (text) => text.length === 4), 'ping');
    assert.ok(tlsOf(await redial(conn, peer)).isSessionReused());
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the stream view goes through pipeline() in both directions over TLS, whole', async () => {
  await using peer = await TlsPeer.start({ ...good, echo: true });
  const conn = await connect(peer.port, { tls: { ca } });
  const data = randomBytes(8 * 1024 * 1024);
  const parts = Array.from({ length: 128 }, (_, n) => data.subarray(n * 65_536, (n + 1) * 65_536));
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(chunk);
      callback();
    },
  });
  await pipeline(Readable.from(parts, { objectMode: false }), conn.stream(), sink);
  assert.is(digest(Buffer.concat(chunks)), digest(data));
  await conn.closed;
});

test('a long conversation over TLS goes on across links that are reset in the middle', async () => {
  await using peer = await TlsPeer.start({ ...good, echo: true });
  await using conn = await connect(peer.port, { ...quick, tls: { ca }, codec: lines() });
  const wanted = new Set(Array.from({ length: 200 }, (_, n) => `line ${n}`));
  const reading = (async () => {
    for await (const line of conn) {
      wanted.delete(line);
      if (wanted.size === 0) break;
    }
  })();
  for (let round = 0; wanted.size > 0 && round < 100; round++) {
    for (const line of [...wanted].slice(0, 50)) await conn.write(line);
    if (round % 2 === 0) peer.reset();
    await Promise.race([reading, sleep(20)]);
  }
  await reading;
  assert.ok(conn.stats.links > 1);
});

test.run();
