import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as assert from 'uvu/assert';
import { suite } from '../suite.js';
import { merge, type Script } from './script.js';

const test = suite('coverage');
const run = promisify(execFile);

/** A script as several processes have run it, each with one argument. */
async function measured(source: string, ...runs: string[]): Promise<Script> {
  const folder = mkdtempSync(join(tmpdir(), 'recon-coverage-'));
  const [code, reports] = [join(folder, 'code'), join(folder, 'reports')];
  try {
    mkdirSync(code);
    mkdirSync(reports);
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(code, 'script.ts'), source);
    for (const argument of runs) {
      const args = ['--import', 'tsx', join(code, 'script.ts'), argument];
      await run(process.execPath, args, { env: { ...process.env, NODE_V8_COVERAGE: reports } });
    }
    return merge(reports, code).get('script.ts')!;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const SOURCE = `// A comment of a type: number.
interface Shape { readonly size: number }

class Box<T> {
  readonly #shape: Shape = { size: 1 };

  grow(by?: number): number {
    if (by === undefined) {
      return this.#shape.size;
    }
    return this.#shape.size + (by > 9 ? 9 : by);
  }

  never(value: T): T {
    const inner = (): T => value;
    return inner();
  }
}

const argument: string = process.argv[2] ?? 'none';
const box = new Box<string>();
try {
  if (argument === 'throw') throw new Error(argument);
  box.grow(argument === 'grow' ? 1 : undefined);
} catch {
  box.grow();
}
`;

const texts = ({ gaps }: Script): string[] => gaps.map(({ line, lastLine, text }) => `${line}-${lastLine} ${text}`);

test('tells in terms of the source what was not run, and nothing of what only closes a block', async () => {
  assert.equal(texts(await measured(SOURCE, 'plain')), [
    '11-11 return this.#shape.size + (by > 9 ? 9 : by);',
    '14-16 never(value: T): T {',
    "20-20 'none';",
    '23-23 throw new Error(argument);',
    '24-24 1 : undefined);',
    '26-26 box.grow();',
  ]);
});

test('what one of several processes has run is run', async () => {
  const script = await measured(SOURCE, 'plain', 'throw', 'grow');
  assert.equal(texts(script), ['11-11 9 : by);', '14-16 never(value: T): T {', "20-20 'none';"]);
  assert.is(script.functions.missed, 1);
  assert.is(script.blocks.missed, 2);
});

test.run();
