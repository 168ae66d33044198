import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { platform } from 'node:os';
import { join, sep } from 'node:path';
import type { Sample, Workload } from './workloads.js';

/** Milliseconds after which a process counts as hanging. */
const LIMIT = 20_000;

const root = join(import.meta.dirname, '..', '..') + sep;

/**
 * One contender's turn: a fresh server, and a fresh client that is measured. Rejects with what the client complained of
 * if it brings nothing.
 */
export async function measure(workload: Workload, contender: string): Promise<Sample> {
  const host = freshHost();
  const server = run('server', host, workload.server.map(String));
  const closed = once(server, 'close');
  try {
    const [port] = await once(server, 'message', { signal: AbortSignal.timeout(LIMIT) });
    return await sampleOf(run('client', host, [workload.name, contender, String(port)]));
  } finally {
    server.kill('SIGKILL');
    await closed;
  }
}

let hosts = 0;

/**
 * Linux remembers of each address how fast the last link to it was, and the next one begins with that
 * (`ip tcp_metrics show`): one contender would inherit what another has left. All of 127/8 is loopback there.
 */
function freshHost(): string {
  if (platform() !== 'linux') return '127.0.0.1';
  hosts += 1;
  return `127.${1 + (process.pid % 254)}.${hosts >> 8}.${hosts & 255}`;
}

/** Compiled to `dist`. It ends by itself when this process does. */
function run(script: string, host: string, args: string[]): ChildProcess {
  return spawn(process.execPath, ['--expose-gc', join(import.meta.dirname, 'dist', `${script}.js`), ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, BENCH_HOST: host },
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  });
}

/** What a client brings, once it is gone, so that its end is no burden to who comes next. */
async function sampleOf(client: ChildProcess): Promise<Sample> {
  let complaints = '';
  let sample: Sample | undefined;
  client.stderr!.on('data', (chunk) => (complaints += chunk));
  client.on('message', (message) => (sample = message as Sample));
  const [code, signal] = await once(client, 'close');
  if (sample !== undefined) return sample;
  if (signal !== null) throw new Error(`nothing after ${LIMIT / 1_000} s`);
  const [complaint] = /^\w*Error\b.*$/m.exec(complaints) ?? [`exit code ${code}`];
  throw new Error(complaint.replaceAll(root, ''));
}
