import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from 'recon';
import * as assert from 'uvu/assert';
import { handshake, nats } from '../examples/nats-protocol.js';
import { suite } from './suite.js';

// The examples that speak to real servers, against these: started, killed with SIGKILL, started again on the same port.
const test = suite('servers');
const HOST = '127.0.0.1';
const LIMIT = 40_000;

/** Debian has some servers where only root looks for them. */
const env = { ...process.env, PATH: [process.env['PATH'], '/usr/sbin'].join(delimiter), NO_COLOR: '1', FORCE_COLOR: undefined };

/** Whether a server that is not installed is a failure. */
const REQUIRED = process.env['RECON_REQUIRE_SERVERS'] === '1';
const skipped = new Set<string>();

/** A test that needs a program: without it, it passes and says that it was skipped, or it fails. */
function testWith(program: string, title: string, run: () => Promise<void>): void {
  const installed = env.PATH.split(delimiter).some((folder) => existsSync(join(folder, program)));
  if (installed) return test(title, run, LIMIT);
  if (!REQUIRED) skipped.add(program);
  test(title, () => assert.ok(!REQUIRED, `${program} is not installed`));
}

/** A program that runs, what it has said so far, and how it ends. It is killed when its block is left. */
class Program implements AsyncDisposable {
  out = '';
  err = '';
  readonly over: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #events = new EventEmitter();
  #closed = false;

  constructor(command: string, ...args: string[]) {
    // Nothing outlives its test for long, nor the tests at all, however they end.
    this.#child = spawn(command, args, { env, timeout: LIMIT, killSignal: 'SIGKILL' });
    const kill = (): boolean => this.#child.kill('SIGKILL');
    process.once('exit', kill);
    this.#child.once('close', () => process.off('exit', kill));
    this.#child.stdout.setEncoding('utf8');
    this.#child.stdout.on('data', (chunk) => this.#events.emit('change', (this.out += chunk)));
    this.#child.stderr.on('data', (chunk) => this.#events.emit('change', (this.err += chunk)));
    this.#child.stdin.on('error', () => {});
    this.over = once(this.#child, 'close') as typeof this.over;
    this.#child.on('close', () => this.#events.emit('change', (this.#closed = true)));
  }

  /** Waits until something holds of what it has said. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#closed) throw new Error(`${this.#child.spawnargs.join(' ')} is over:\n${this.out}\n${this.err}`);
      await once(this.#events, 'change');
    }
  }

  untilOut = (text: string): Promise<void> => this.until(() => this.out.includes(text));
  /** Waits until it has said this on stderr, so many times. */
  untilErr = (text: string, times = 1): Promise<void> => this.until(() => this.err.split(text).length > times);

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.over;
  }
}

/** A server that comes and goes. */
class Server implements AsyncDisposable {
  readonly #command: readonly [string, ...string[]];
  readonly #ready: string;
  program: Program;

  private constructor(ready: string, command: readonly [string, ...string[]]) {
    this.#command = command;
    this.#ready = ready;
    this.program = new Program(...command);
  }

  /** @param ready - what it says when it listens, in whatever case */
  static async start(ready: string, ...command: readonly [string, ...string[]]): Promise<Server> {
    const server = new Server(ready, command);
    await server.#listening();
    return server;
  }

  async #listening(): Promise<void> {
    await this.program.until(() => `${this.program.out}${this.program.err}`.toLowerCase().includes(this.#ready));
  }

  async kill(): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }

  /** Starts it again: with the same arguments, so on the same port. */
  async restart(): Promise<void> {
    this.program = new Program(...this.#command);
    await this.#listening();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

const example = (name: string, ...args: (string | number)[]): Program =>
  new Program(process.execPath, '--import', 'tsx', `examples/${name}.ts`, ...args.map(String));

/**
 * A port on which nobody listens, and which the system gives to nobody who asks for any: it must be there still when the
 * server comes back, and a client that dials it meanwhile must not be given it for its own end, and meet itself.
 */
async function freePort(): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 12_000);
  const probe = net.createServer().listen(port, HOST);
  const free = await once(probe, 'listening').then(
    () => true,
    () => false,
  );
  probe.close();
  return free ? port : freePort();
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'recon-servers-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

// Netcat

const netcat = (port: number): Promise<Server> => Server.start('listening', 'nc', '-v', '-s', HOST, '-lp', String(port));

testWith('nc', "stayin-alive: the ancestor's transcript, with nc killed and started again", async () => {
  const port = await freePort();
  await using server = await netcat(port);
  await using client = example('stayin-alive', port);
  server.program.type('everybody stop\n');
  await client.untilOut('everybody stop\n');
  await server.kill();
  await client.untilErr('link dropped');
  await server.restart();
  server.program.type('hammertime\n');
  await client.untilOut('hammertime\n');
  assert.is(client.out, 'everybody stop\nhammertime\n');
  assert.is(
    client.err,
    `dialling ${port}\nconnected to tcp://localhost:${port}\nlink dropped, redialling\nconnected to tcp://localhost:${port}\n`,
  );
});

testWith('nc', 'metrics: lines arrive before and after, what the full buffer refused is counted', async () => {
  const port = await freePort();
  await using server = await netcat(port);
  await using client = example('metrics', `${HOST}:${port}`, 5, 2_000);
  await server.program.untilOut('uptime_ms');
  await server.kill();
  await client.untilErr('the buffer is full, dropping');
  const full = Math.floor(Date.now() / 1000);
  await sleep(1000 - (Date.now() % 1000));
  await server.restart();
  await client.until(() => /\d dropped\n/.test(client.err));
  const reported = server.program.out.length;
  await server.program.until(() => server.program.out.length > reported + 1_000);

  assert.match(client.err, /metrics: [1-9]\d* dropped\n/);
  const received = server.program.out.split('\n').slice(0, -1);
  for (const line of received) assert.match(line, /^[\w-]+\.node\.\w+ [\d.]+ \d{10}$/);
  assert.ok(Number(received[0]?.split(' ')[2]) <= full, 'the oldest are kept, with the time of when they were written');
  const uptimes = received.filter((line) => line.includes('uptime_ms')).map((line) => Number(line.split(' ')[1]));
  assert.equal(uptimes, [...new Set(uptimes)].sort((a, b) => a - b), 'in order, and nothing twice');
});

testWith('nc', 'metrics: goes on without a server, and says from when on there was one', async () => {
  const port = await freePort();
  await using client = example('metrics', `${HOST}:${port}`, 5);
  await client.untilErr('not connected yet, dropping');
  await using server = await netcat(port);
  await client.until(() => /\d dropped\n/.test(client.err));
  await server.program.untilOut('uptime_ms');
});

// OpenSSL

const openssl = (...args: string[]) => promisify(execFile)('openssl', args);

/** A certificate for localhost that is its own authority. */
async function certificate(folder: string, name: string): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(folder, `${name}-key.pem`), join(folder, `${name}.pem`)];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await openssl('req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert);
  return { key, cert };
}

testWith('openssl', 'tls: talks both ways through openssl s_server, before and after, and ends with its input', async () => {
  await using folder = await temporaryFolder();
  const [port, { key, cert }] = [await freePort(), await certificate(folder.path, 'server')];
  const listen = ['-accept', `${HOST}:${port}`, '-naccept', '1'];
  await using server = await Server.start('accept', 'openssl', 's_server', ...listen, '-key', key, '-cert', cert);
  await using client = example('tls', `localhost:${port}`, cert);
  await client.untilErr(`connected to tls://localhost:${port}, TLSv1.3\n`);
  server.program.type('one\n');
  await client.untilOut('one\n');
  client.type('two\n');
  await server.program.untilOut('two\n');
  await server.kill();
  await client.untilErr('link dropped');
  client.type('three\n');
  await server.restart();
  await server.program.untilOut('three\n');
  server.program.type('four\n');
  await client.untilOut('four\n');
  client.type('five\n');
  client.endInput();
  assert.equal(await client.over, [0, null], client.err);
  await server.program.untilOut('five\n');
  assert.is(client.out, 'one\nfour\n');
});

testWith('openssl', 'tls: refuses a server that the authority has not signed', async () => {
  await using folder = await temporaryFolder();
  const [port, { key, cert }] = [await freePort(), await certificate(folder.path, 'server')];
  const other = await certificate(folder.path, 'other');
  await using _server = await Server.start('accept', 'openssl', 's_server', '-accept', `${HOST}:${port}`, '-key', key, '-cert', cert);
  await using client = example('tls', `localhost:${port}`, other.cert);
  assert.equal(await client.over, [1, null]);
  assert.match(client.err, 'DEPTH_ZERO_SELF_SIGNED_CERT');
});

// Redis

function startRedis(port: string, folder: string, ...args: string[]): Promise<Server> {
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--dir', folder];
  return Server.start('ready to accept connections', 'redis-server', '--port', port, '--bind', HOST, ...memoryOnly, ...args);
}

testWith('redis-server', 'redis-subscribe: waits for the server, and subscribes again when it was killed', async () => {
  await using folder = await temporaryFolder();
  const port = String(await freePort());
  /** Redis tells how many have heard it. */
  async function publish(channel: string, message: string): Promise<void> {
    await using client = new Program('redis-cli', '-h', HOST, '-p', port, '-x', 'publish', channel);
    client.type(message);
    client.endInput();
    await client.over;
    assert.is(client.out, '1\n', client.err);
  }

  await using client = example('redis-subscribe', `${HOST}:${port}`, 'news', 'weather');
  await client.untilErr('not connected: connect ECONNREFUSED');
  await using server = await startRedis(port, folder.path);
  for (let life = 1; life <= 3; life++) {
    await client.untilErr('subscribed at', life);
    // Longer than any chunk, and with characters of several bytes.
    const long = `${life} `.padEnd(300_000, 'Grüße, мир ☀ ');
    await publish('news', `life ${life}`);
    await publish('weather', long);
    await client.untilOut(`news: life ${life}\nweather: ${long}\n`);
    await server.kill();
    await client.untilErr('link dropped', life);
    if (life < 3) await server.restart();
  }
  assert.is(client.out.match(/^(news|weather): /gm)?.length, 6);
});

testWith('redis-server', 'redis-subscribe: says why it may not subscribe, and tries again', async () => {
  await using folder = await temporaryFolder();
  const port = String(await freePort());
  await using _server = await startRedis(port, folder.path, '--requirepass', 'secret');
  await using client = example('redis-subscribe', `${HOST}:${port}`, 'news');
  await client.untilErr('not connected: NOAUTH Authentication required.', 2);
});

// NATS

const startNats = (port: number, ...args: string[]): Promise<Server> =>
  Server.start('server is ready', 'nats-server', '-a', HOST, '-p', String(port), ...args);

async function publish(port: number, subject: string, payload: string): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT);
  await using conn = await connect(port, HOST, { codec: nats, signal, onLink: (link) => handshake(link, 'test') });
  await conn.write({ op: 'PUB', subject, payload });
}

/** Publishes until it is heard: a subscription takes its time to get around, and who has one isn't told. */
async function publishUntilHeard(client: Program, port: number, subject: string, payload: string): Promise<void> {
  const heard = client.untilOut(`${subject}: ${payload}\n`).then(() => true);
  heard.catch(() => {});
  do await publish(port, subject, payload);
  while (!(await Promise.race([heard, sleep(50)])));
}

testWith('nats-server', 'nats: subscribes again when the server was killed', async () => {
  const port = await freePort();
  await using client = example('nats', `${HOST}:${port}`, 'weather.>');
  await client.untilErr('not connected: connect ECONNREFUSED');
  await using server = await startNats(port);
  for (let life = 1; life <= 3; life++) {
    await client.untilErr('subscribed at', life);
    await publishUntilHeard(client, port, 'weather.rome', `${life} `.padEnd(300_000, 'sunny '));
    await publishUntilHeard(client, port, 'weather.oslo', '');
    await server.kill();
    await client.untilErr('link dropped', life);
    if (life < 3) await server.restart();
  }
});

testWith('nats-server', 'nats: answers PING with PONG, or it would be disconnected as stale', async () => {
  await using folder = await temporaryFolder();
  const config = join(folder.path, 'nats.conf');
  await writeFile(config, 'ping_interval: "100ms"\nping_max: 1\n');
  const port = await freePort();
  await using server = await startNats(port, '-c', config, '-V');
  await using client = example('nats', `${HOST}:${port}`, 'news');
  await server.program.untilErr('<<- [PONG]', 4);
  assert.not.match(client.err, 'dropped');
});

/** Nodes that know of each other, by their ports for clients. */
async function startCluster(size: number): Promise<AsyncDisposable & { nodes: ReadonlyMap<number, Server> }> {
  const nodes = new Map<number, Server>();
  const cluster = { nodes, [Symbol.asyncDispose]: async () => void (await Promise.all([...nodes.values()].map((node) => node.kill()))) };
  const urls = (await freePorts(size)).map((port) => `nats://${HOST}:${port}`);
  const routes = ['--cluster_name', 'test', '--routes', urls.join()];
  try {
    for (const url of urls) {
      const port = await freePort();
      nodes.set(port, await startNats(port, '--cluster', url, ...routes));
    }
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

testWith('nats-server', 'failover: whichever node of three is killed, hangs or retires, messages keep arriving', async () => {
  await using cluster = await startCluster(3);
  const ports = [...cluster.nodes.keys()];
  await using client = example('failover', 'news', ...ports.map((port) => `${HOST}:${port}`));
  const used = (): number => Number(client.err.match(/subscribed at .*:(\d+)\n/g)?.at(-1)?.match(/(\d+)\n/)?.[1]);

  const leave: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGKILL', 'SIGUSR2', 'SIGKILL', 'SIGSTOP', 'SIGKILL', 'SIGKILL'];
  await client.untilErr('subscribed at');
  for (const [turn, signal] of leave.entries()) {
    const left = used();
    const [other, third] = ports.filter((port) => port !== left) as [number, number];
    await publishUntilHeard(client, other, 'news', `${turn}: before ${signal}`);
    const node = cluster.nodes.get(left)!;
    node.program.signal(signal);
    await client.until(() => used() !== left);
    await publishUntilHeard(client, used() === other ? third : other, 'news', `${turn}: after ${signal}`);
    await node.kill();
    await node.restart();
  }
  assert.match(client.err, 'dropped: reconnect() was called');
  assert.match(client.err, 'dropped: nothing was received for 3000 ms');
});

test('nats: the codec reads operations that are split at any byte', async () => {
  const bytes = Buffer.from('INFO {"server_name":"a"} \r\nMSG a.b 1 4\r\n\r\n\r\n\r\nMSG a 2 back 0\r\n\r\nPING\r\n-ERR \'No\'\r\n');
  const whole = [...nats.decoder()(bytes)];
  assert.equal(
    whole.map(({ op }) => op),
    ['INFO', 'MSG', 'MSG', 'PING', '-ERR'],
  );
  for (let split = 0; split <= bytes.length; split++) {
    const decode = nats.decoder();
    assert.equal([...decode(bytes.subarray(0, split)), ...decode(bytes.subarray(split))], whole);
    assert.is(decode.pending?.(), 0);
  }
});

for (const program of skipped) console.log(`skipped: no ${program}`);
test.run();
