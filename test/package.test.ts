import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as assert from 'uvu/assert';
import { suite } from './suite.js';

const test = suite('package');
const run = promisify(execFile);
const LIMIT = 60_000;

test('the tarball holds what a user needs, and no more', async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts']);
  const [{ files, size }] = JSON.parse(stdout) as [{ files: { path: string }[]; size: number }];
  const paths = files.map(({ path }) => path);
  const [code, rest] = [paths.filter((path) => path.endsWith('.js')), paths.filter((path) => !path.endsWith('.js'))];
  const sources = readdirSync('src').filter((name) => name.endsWith('.ts'));
  assert.equal(code.sort(), sources.map((name) => `dist/${name.replace(/ts$/, 'js')}`).sort());
  const declarations = declarationsOf('index');
  assert.equal(rest.sort(), ['LICENSE', 'README.md', ...declarations, 'package.json'].sort());
  assert.ok(size < 60_000, `${size} bytes`);
}, LIMIT);

/** A module's declarations, and those of all modules that they name. */
function declarationsOf(module: string, found = new Set<string>()): Set<string> {
  const path = `dist/${module}.d.ts`;
  if (found.has(path)) return found;
  found.add(path);
  for (const [, next] of readFileSync(path, 'utf8').matchAll(/from '\.\/(\w+)\.js'/g)) declarationsOf(next!, found);
  return found;
}

/** The line to which the stack of an error of the library leads, in what is installed. */
async function culprit(folder: string): Promise<string> {
  const script = `
    import net from 'node:net';
    import { connect } from 'recon';
    const server = net.createServer().listen(0, async () => {
      const conn = await connect(server.address().port);
      server.close();
      await conn.end();
      await conn.write('too late').catch((error) => console.log(error.stack));
    });`;
  writeFileSync(join(folder, 'culprit.mjs'), script);
  const { stdout } = await run(process.execPath, ['--enable-source-maps', 'culprit.mjs'], { cwd: folder });
  const [, file = '', line] = /(\/node_modules\/recon\/\S+):(\d+):\d+/.exec(stdout) ?? [];
  return readFileSync(join(folder, file), 'utf8').split('\n')[Number(line) - 1]!;
}

test('has the packages that were agreed on, and no address of a registry in its lock file', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  assert.equal(Object.keys(dependencies), ['p-retry']);
  assert.equal(Object.keys(devDependencies).sort(), ['@types/node', 'tsx', 'typescript', 'uvu']);
  assert.not.match(readFileSync('package-lock.json', 'utf8'), '"resolved"');
});

test('works from a folder that has nothing but the tarball, in JavaScript and strict TypeScript', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'recon-package-'));
  try {
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: folder });
    const script = `
      import net from 'node:net';
      import { AbortError, connect, lines, ReconError } from 'recon';
      const server = net.createServer((socket) => socket.pipe(socket)).listen(0, async () => {
        const conn = await connect(server.address().port, { codec: lines() });
        await conn.write('hello');
        for await (const line of conn) { console.log(line, typeof AbortError, typeof ReconError); break; }
        await conn.end();
        server.close();
      });`;
    writeFileSync(join(folder, 'script.mjs'), script);
    const { stdout: said } = await run(process.execPath, ['script.mjs'], { cwd: folder });
    assert.is(said, 'hello function function\n');
    assert.match(await culprit(folder), 'new ReconError');
    copyFileSync('test/consumer.ts', join(folder, 'consumer.ts'));
    const types = join(process.cwd(), 'node_modules/@types');
    const flags = '--ignoreConfig --noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --module nodenext --target es2022 --types node';
    await run('npx', ['tsc', ...flags.split(' '), '--lib', 'es2023,esnext.disposable', '--typeRoots', types, join(folder, 'consumer.ts')]).catch(
      ({ stdout: complaints }: { stdout: string }) => assert.unreachable(complaints),
    );
    if (Number(process.versions.node.split('.')[0]) >= 22) {
      const { stdout: kind } = await run(process.execPath, ['-e', "console.log(typeof require('recon').connect)"], { cwd: folder });
      assert.is(kind, 'function\n');
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}, LIMIT);

test('require() works where Node can require ES modules: nothing awaits at the top of a module', async () => {
  const { stdout } = await run(process.execPath, [
    '--experimental-require-module',
    '--no-warnings',
    '--input-type=commonjs',
    '-e',
    "const { connect, lines } = require('recon'); console.log(typeof connect, typeof lines)",
  ]).catch((error: { stderr: string }) => ({ stdout: error.stderr }));
  assert.is(stdout, 'function function\n');
});

test.run();
