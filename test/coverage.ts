/**
 * Runs the tests, or those whose names contain one of the arguments, and reports what of `src/` none of them has run: by
 * V8's own count, of all processes together. It counts functions, and blocks: what an `if`, `?:`, `??`, `&&`, `||`, `catch`
 * or loop may pass over. (It does not see that a condition without an `else` has never been false. What runs in `dist/` is
 * not counted.)
 *
 * Fails when something was missed that {@link EXPLAINED} doesn't account for. A test that fails is only told: the tests run
 * slower here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Count, type Gap, merge, type Script } from './coverage/script.js';

interface Explanation {
  readonly file: string;
  /** A part of the line in which the gap begins. */
  readonly line: string;
  readonly reason: string;
}

/** What no test can reach. */
const EXPLAINED: readonly Explanation[] = [
  { file: 'dial.ts', line: 'const slabs = FILLS_SLABS', reason: 'Deno: test/runtimes' },
  { file: 'dial.ts', line: 'slabs?.attach(socket) ??', reason: 'Deno: test/runtimes' },
];

const folder = join(import.meta.dirname, '../src');
const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));

/** Runs Node with its coverage, and that of its children, reported. */
async function node(reports: string, ...args: string[]): Promise<void> {
  const env = { ...process.env, NODE_V8_COVERAGE: reports };
  await once(spawn(process.execPath, ['--import', 'tsx', ...args], { env, stdio: 'inherit' }), 'close');
}

async function measure(): Promise<Map<string, Script>> {
  const reports = mkdtempSync(join(tmpdir(), 'recon-coverage-'));
  try {
    // What no test so much as loads is to be seen, too.
    const imports = files.map((name) => `await import(${JSON.stringify(pathToFileURL(join(folder, name)))});`);
    await node(reports, '--input-type=module', '--eval', imports.join('\n'));
    await node(reports, join(import.meta.dirname, 'run.ts'), ...process.argv.slice(2));
    return merge(reports, folder);
  } finally {
    rmSync(reports, { recursive: true });
  }
}

const shown = ({ total, missed }: Count): string => `${total - missed}/${total}`.padStart(10);

const percent = ({ total, missed }: Count): string => `${(100 * (1 - missed / total)).toFixed(2)} %`;

const sum = (counts: readonly Count[]): Count => ({
  total: counts.reduce((total, count) => total + count.total, 0),
  missed: counts.reduce((missed, count) => missed + count.missed, 0),
});

/** A line about a gap; those that are explained count no more. */
function describe(file: string, { line, lastLine, text }: Gap, explanation: Explanation | undefined): string {
  const where = `src/${file}:${line}${lastLine > line ? `–${lastLine}` : ''}`;
  return explanation ? `    explained  ${where}  ${text}  (${explanation.reason})` : `    missed     ${where}  ${text}`;
}

const scripts = await measure();
const reached = new Set(EXPLAINED);
let missed = 0;
console.log(`\n${''.padEnd(16)} functions    blocks`);
for (const file of files) {
  const script = scripts.get(file);
  if (script === undefined) throw new Error(`src/${file} was not measured`);
  console.log(`${file.padEnd(16)}${shown(script.functions)}${shown(script.blocks)}`);
  for (const gap of script.gaps) {
    const explanation = EXPLAINED.find((one) => one.file === file && gap.context.includes(one.line));
    if (explanation) reached.delete(explanation);
    else missed += 1;
    console.log(describe(file, gap, explanation));
  }
}
const all = [...scripts.values()];
const [functions, blocks] = [sum(all.map((script) => script.functions)), sum(all.map((script) => script.blocks))];
console.log(`${'all'.padEnd(16)}${shown(functions)}${shown(blocks)}`);
for (const { file, line } of reached) console.log(`\nexplained, though it was run: src/${file}  ${line}`);
console.log(`\nfunctions ${percent(functions)}, blocks ${percent(blocks)}, ${missed} missed and not explained`);
process.exitCode = missed > 0 ? 1 : 0;
