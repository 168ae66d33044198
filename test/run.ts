/**
 * Runs every `*.test.ts` below this folder, or those whose names contain one of the arguments, each in a process of its
 * own, and prints one closing line. Fails when a test fails, when a file or everything ran none, and when one hangs.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Milliseconds a whole file may take before it counts as hanging. */
const LIMIT = 90_000;
const PARALLEL = 2;

interface Outcome {
  readonly file: string;
  readonly passed: number;
  readonly total: number;
  readonly problem: string | undefined;
  readonly output: string;
}

function run(file: string): Promise<Outcome> {
  const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: '0' },
  });
  let output = '';
  let hangs = false;
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const timer = setTimeout(() => {
    hangs = true;
    child.kill('SIGKILL');
  }, LIMIT);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      const count = (name: string): number => Number(new RegExp(`^\\s*${name}:\\s+(\\d+)`, 'm').exec(output)?.[1] ?? 0);
      const [passed, total] = [count('Passed'), count('Total')];
      const problem = hangs
        ? `hangs: killed after ${LIMIT} ms`
        : code !== 0
          ? `exit code ${code}`
          : total === 0
            ? 'ran no test'
            : passed !== total
              ? `${total - passed} of ${total} did not pass`
              : undefined;
      resolve({ file, passed, total, problem, output });
    });
  });
}

const folder = import.meta.dirname;
const wanted = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .map((name) => relative(process.cwd(), join(folder, name)))
  .sort();
const outcomes: Outcome[] = [];
const queue = [...files];
await Promise.all(
  Array.from({ length: PARALLEL }, async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const started = Date.now();
      const outcome = await run(file);
      outcomes.push(outcome);
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      console.log(`${outcome.problem ? 'FAIL' : 'ok  '} ${file}  ${outcome.passed}/${outcome.total}  ${seconds} s`);
      if (outcome.problem) console.log(`${outcome.output}\n${file}: ${outcome.problem}`);
      for (const [skip] of outcome.output.matchAll(/^skipped: .*$/gm)) console.log(`     ${skip}`);
    }
  }),
);

const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const broken = outcomes.filter((outcome) => outcome.problem);
const failed = broken.reduce((sum, outcome) => sum + Math.max(1, outcome.total - outcome.passed), 0);
if (outcomes.length === 0) console.log('no test file found');
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = outcomes.length === 0 || passed === 0 || failed > 0 ? 1 : 0;
