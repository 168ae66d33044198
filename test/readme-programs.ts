import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { Authority } from './certificates.js';
import { eventually, Peer } from './peer.js';
import { Workshop } from './readme.js';
import { TlsPeer } from './tls-peer.js';

/** Milliseconds that a program may take. */
const LIMIT = 8_000;

/** What a program finds when it runs: a server, and a folder. */
export class Stage implements AsyncDisposable {
  readonly peer: Peer;
  readonly workshop = new Workshop();
  readonly #code: string;
  #program: Program | undefined;
  #fail: (error: Error) => void = () => {};
  /** Rejects when the program ends with an error, or takes too long. */
  readonly failure = new Promise<never>((_, reject) => (this.#fail = reject));

  private constructor(code: string, peer: Peer) {
    this.#code = code;
    this.peer = peer;
    this.failure.catch(() => {});
  }

  static async set(code: string): Promise<Stage> {
    return new Stage(code, await Peer.start());
  }

  /** Starts the program, with some of its numbers replaced: a port mostly, or a time that is too long for a test. */
  run(replacements: Readonly<Record<string, number>>): Program {
    let code = this.#code;
    for (const [number, replacement] of Object.entries(replacements)) {
      assert.match(code, new RegExp(`\\b${number}\\b`));
      code = code.replaceAll(new RegExp(`\\b${number}\\b`, 'g'), String(replacement));
    }
    return this.runFile(this.workshop.put('program.ts', code));
  }

  runFile(path: string, ...args: string[]): Program {
    const program = new Program(this.workshop.folder, path, ...args);
    void program.over.then((end) => {
      if (end !== 0) this.#fail(new Error(`it ended with ${end}, having said\n${program.said}`));
    });
    this.#program = program;
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#program?.child.kill('SIGKILL');
    await this.#program?.over;
    await this.peer.stop();
    this.workshop[Symbol.dispose]();
  }
}

/** A program that runs. */
class Program {
  readonly child: ChildProcess;
  /** Its exit code, or the signal that ended it. */
  readonly over: Promise<number | NodeJS.Signals>;
  /** On stdout and stderr. */
  said = '';

  constructor(folder: string, ...args: string[]) {
    const tsx = ['--import', import.meta.resolve('tsx')];
    this.child = spawn(process.execPath, [...tsx, ...args], { cwd: folder, timeout: LIMIT, killSignal: 'SIGKILL' });
    for (const output of [this.child.stdout, this.child.stderr]) output?.on('data', (chunk) => (this.said += chunk));
    this.over = once(this.child, 'close').then(([code, signal]) => code ?? signal);
  }

  async says(text: string): Promise<void> {
    await eventually(() => this.said.includes(text));
  }
}

/** What becomes of each program of the page, by the heading that it stands under. */
export const programs: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  async 'recon'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port });
    const link = await peer.nextLink();
    await link.until('hello\n');
    await link.send('everybody stop\n');
    await program.says('everybody stop\n');
    await peer.stop();
    await program.says('link lost\n');
    await peer.start();
    await (await peer.nextLink()).send('hammertime\n');
    await program.says('hammertime\n');
    assert.is(program.said, 'everybody stop\nlink lost\nback\nhammertime\n');
  },

  async 'Handshake'(stage) {
    const { peer } = stage;
    const program = stage.run({ 6379: peer.port });
    const first = await peer.nextLink();
    await first.until('AUTH guest\n');
    assert.is(first.text, 'AUTH guest\n');
    await first.send('+OK\n');
    await first.until('PING\n');
    first.reset();
    const second = await peer.nextLink();
    await second.until('AUTH guest\n');
    await second.send('-NO\n');
    // A program that went on trying would not end.
    await program.over;
  },

  async 'Messages instead of bytes'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port });
    const link = await peer.nextLink();
    await link.untilLength(8);
    assert.is(link.received.readDoubleBE(), 0.5);
    const bytes = Buffer.alloc(16);
    bytes.writeDoubleBE(21);
    bytes.writeDoubleBE(1.5, 8);
    await link.send(bytes.subarray(0, 11));
    await program.says('42\n');
    await link.send(bytes.subarray(11));
    await program.says('42\n3\n');
  },

  async 'Failover'(stage) {
    const { peer } = stage;
    const port = await Peer.freePort();
    const program = stage.run({ 4222: port, 4223: peer.port });
    await (await peer.nextLink()).send('from the second\n');
    await program.says('from the second\n');
    await using other = await Peer.start({ port });
    await peer.stop();
    await (await other.nextLink()).send('from the first\n');
    await program.says('from the first\n');
    assert.match(program.said, `now at tcp://localhost:${port}\n`);
  },

  async 'TLS, verified'(stage) {
    const authority = new Authority();
    await using peer = await TlsPeer.start(authority.issue());
    stage.workshop.put('ca.pem', authority.cert);
    const program = stage.run({ 8443: peer.port });
    await (await peer.nextLink()).until('hello over TLS\n');
    await program.over;
  },

  async 'Timeouts'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port, '10_000': 50, '25_000': 300 });
    await (await peer.nextLink()).until('PING\nPING\n');
    await program.says('ERR_RECON_TIMEOUT nothing was received');
    await peer.nextLink();
  },

  async 'Fail fast at the start'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port });
    const link = await peer.nextLink();
    await link.send('hi\n');
    await program.says('hi\n');
    link.end();
    await (await peer.nextLink()).send('still there\n');
    await program.says('still there\n');
  },

  async 'Shut down'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port, '5_000': 300 });
    const link = await peer.nextLink();
    await link.until('working\n');
    await peer.stop();
    link.reset();
    await program.says('link lost');
    program.child.kill('SIGTERM');
    await program.over;
    assert.match(program.said, 'before this write was flushed');
  },

  async 'Cancel'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port });
    const link = await peer.nextLink();
    await link.until('hello\n');
    await link.send('hi\n');
    await program.says('hi\n');
    program.child.kill('SIGINT');
    await program.over;
  },

  async '`pipeline`'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port });
    program.child.stdin?.write('one\n');
    await (await peer.nextLink()).until('one\n');
    await peer.stop();
    await peer.start();
    const link = await peer.nextLink();
    await link.send('two\n');
    await program.says('two\n');
    program.child.stdin?.end('three\n');
    await link.until('three\n');
    await program.over;
  },

  async 'Drop rather than wait'(stage) {
    const { peer } = stage;
    const program = stage.run({ 2003: peer.port });
    await (await peer.nextLink()).until('uptime ');
    await program.says('0 dropped\n');
    await program.over;
  },

  async 'Delivered, not just flushed'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port });
    const first = await peer.nextLink();
    await first.until('1 first job\n2 second job\n');
    await first.send('1 done\n');
    first.end();
    const second = await peer.nextLink();
    await second.until('2 second job\n');
    assert.is(second.text, '2 second job\n');
    await second.send('2 done\n');
    await program.says('all answered\n');
    await program.over;
  },

  async 'Many clients of one server'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port, '2_000': 20 });
    await (await peer.nextLink()).until('hello\n');
    await program.over;
  },

  async 'Testing with it'(stage) {
    await stage.run({}).over;
  },

  async '`batches()`, `links()`'(stage) {
    const { peer } = stage;
    const program = stage.run({ 4321: peer.port });
    const first = await peer.nextLink();
    await first.send('a');
    await program.says('at once: a\n');
    await first.send('b');
    await program.says('1 b\n');
    first.end();
    await program.says('lost: the peer said goodbye\n');
    await (await peer.nextLink()).send('c');
    await program.says('2 c\n');
  },
};

/** What `stayin-alive` says while somebody types as in the transcript. */
export async function transcribe(stage: Stage): Promise<string> {
  const { peer } = stage;
  const program = stage.runFile(join(process.cwd(), 'examples/stayin-alive.ts'), String(peer.port));
  const first = await peer.nextLink();
  await program.says('connected');
  await first.send('everybody stop\n');
  await program.says('everybody stop\n');
  await peer.stop();
  await program.says('redialling\n');
  await peer.start();
  const second = await peer.nextLink();
  await program.says('redialling\nconnected');
  await second.send('hammertime\n');
  await program.says('hammertime\n');
  return program.said;
}
