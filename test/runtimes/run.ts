/**
 * Packs what is built, installs it into a folder of its own, and runs each check of `smoke.mjs` with the Node of this
 * process and with every runtime in `package.json` beside this file, a process for each. Prints a table, then what went wrong.
 *
 * Arguments are parts of the names of runtimes, to run only those. Fails when a check fails that is not known to
 * ({@link KNOWN}), and when a runtime can't be installed, unless told `--skip-missing`. The folder `node_modules` beside
 * this file keeps what was installed; without it, the newest versions are.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Authority } from '../certificates.js';

const run = promisify(execFile);

/** Milliseconds that a check's process may take, its exit included. */
const LIMIT = 10_000;

interface Runtime {
  readonly name: string;
  /** The program and its arguments, before those of the script. */
  readonly command: readonly [string, ...string[]];
}

const installed = (path: string): string => join(import.meta.dirname, 'node_modules', path);

const RUNTIMES: readonly Runtime[] = [
  { name: 'this node', command: [process.execPath] },
  { name: 'node 22', command: [installed('node22/bin/node')] },
  { name: 'node 24', command: [installed('node24/bin/node')] },
  { name: 'node 26', command: [installed('node26/bin/node')] },
  { name: 'bun', command: [installed('bun/bin/bun')] },
  { name: 'deno', command: [installed('deno/deno'), 'run', '--allow-all', '--no-remote', '--no-lock'] },
];

/** What a runtime lacks, and the README says so: its name, the check, and why. */
const KNOWN: readonly (readonly [runtime: string, check: string, reason: string])[] = [
  ['bun', 'a reset behind a slow reader', 'a reset takes away what the system holds for a paused socket'],
  ['deno', 'TLS: a session is resumed', 'it tells of no session'],
  ['deno', 'TLS: a goodbye behind a slow reader', 'a TLS socket that has been paused may never end'],
  ['deno', 'TLS: a reset is told as one', 'a reset looks like a goodbye'],
];

interface Outcome {
  readonly runtime: string;
  readonly check: string;
  readonly passed: boolean;
  /** What was said, and how it ended. */
  readonly report: string;
  /** Why it may fail. */
  readonly known: string | undefined;
}

/** Puts into a folder the packed package, the checks, and the certificates that they need. */
async function prepare(folder: string): Promise<void> {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: folder });
  for (const name of ['smoke.mjs', 'server.mjs', 'checks']) {
    cpSync(join(import.meta.dirname, name), join(folder, name), { recursive: true });
  }
  const authority = new Authority();
  const { cert, key } = authority.issue();
  const certificates = { ca: authority.cert, cert, key };
  for (const [name, text] of Object.entries(certificates)) writeFileSync(join(folder, `${name}.pem`), text);
}

/** A server that never stops talking, for a check whose own process is busy. It finds the port in `TALKER`. */
async function talk(): Promise<net.Server> {
  const server = net.createServer((socket) => {
    const timer = setInterval(() => socket.write('tick'), 5);
    socket.on('error', () => {}).on('close', () => clearInterval(timer));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  process.env['TALKER'] = String((server.address() as net.AddressInfo).port);
  return server;
}

/** Brings the runtimes that the registry has for this machine; those that it has not are found missing afterwards. */
async function install(): Promise<void> {
  const args = ['install', '--no-package-lock', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', args, { cwd: import.meta.dirname }).catch(({ stderr }: { stderr: string }) => console.log(stderr));
}

type Execution = Pick<Outcome, 'passed' | 'report'> & { readonly out: string };

/** Runs the script; if that takes too long, it is killed. */
function execute({ command: [program, ...before] }: Runtime, folder: string, ...args: string[]): Promise<Execution> {
  const env = { ...process.env, NO_COLOR: '1', DENO_DIR: join(folder, 'deno'), DENO_NO_UPDATE_CHECK: '1' };
  const options = { cwd: folder, env, timeout: LIMIT, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile(program, [...before, 'smoke.mjs', ...args], options, (error, out, err) => {
      const end = error?.killed ? `killed after ${LIMIT} ms` : `exit code ${error?.code ?? 0}`;
      resolve({ passed: !error, out, report: `${out}${err}${end}` });
    });
  });
}

/** A process that ends early without a word has not passed. */
async function check(runtime: Runtime, name: string, folder: string): Promise<Outcome> {
  const { passed, out, report } = await execute(runtime, folder, name);
  const known = KNOWN.find(([which, what]) => which === runtime.name && what === name)?.[2];
  return { runtime: runtime.name, check: name, passed: passed && out === 'done\n', report, known };
}

const verdict = ({ passed, known }: Outcome): string => (passed ? 'ok' : known ? 'known' : 'FAIL');

/** What there is to say about an outcome besides that. */
function remark({ runtime, check: name, passed, known, report }: Outcome): string | undefined {
  if (known) return `${runtime}, ${name}: ${passed ? 'passed this time, though' : 'fails;'} it is known that ${known}`;
  return passed ? undefined : `${runtime}, ${name}: FAILED\n${report}`;
}

/** A runtime's name with its whole version. */
async function heading({ name, command: [program] }: Runtime): Promise<string> {
  const { stdout } = await run(program, ['--version']);
  return `${name.replace(/ \d+$/, '')} ${/\d+\.\d+\.\d+\S*/.exec(stdout)?.[0]}`;
}

/** Rows of cells, in columns as wide as they need to be. */
function table(rows: readonly (readonly string[])[]): string {
  const width = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(width(column))).join('  ').trimEnd()).join('\n');
}

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const skipMissing = process.argv.includes('--skip-missing');

await install();
const chosen = RUNTIMES.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const present = chosen.filter(({ command: [program] }) => existsSync(program));
const missing = chosen.filter((runtime) => !present.includes(runtime));
const folder = mkdtempSync(join(tmpdir(), 'recon-runtimes-'));
const talker = await talk();
const outcomes: Outcome[] = [];
try {
  await prepare(folder);
  const { out } = await execute(RUNTIMES[0]!, folder);
  const rows = [['', ...(await Promise.all(present.map(heading)))]];
  for (const name of JSON.parse(out) as string[]) {
    const row: Outcome[] = [];
    for (const runtime of present) row.push(await check(runtime, name, folder));
    outcomes.push(...row);
    rows.push([name, ...row.map(verdict)]);
  }
  console.log(table(rows));
} finally {
  talker.close();
  rmSync(folder, { recursive: true });
}

for (const outcome of outcomes) {
  const words = remark(outcome);
  if (words) console.log(`\n${words}`);
}
for (const { name } of missing) console.log(`\n${name}: could not be installed`);

const count = (which: string): number => outcomes.filter((outcome) => verdict(outcome) === which).length;
const [passed, failed, known] = [count('ok'), count('FAIL'), count('known')];
console.log(`\n${passed} passed, ${failed} failed, ${known} known, ${missing.length} runtimes missing`);
process.exitCode = failed > 0 || passed === 0 || (missing.length > 0 && !skipMissing) ? 1 : 0;
