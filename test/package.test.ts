import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  for (const path of ['README.md', 'LICENSE', 'package.json', 'dist/index.js', 'dist/index.d.ts', 'dist/index.js.map', 'src/index.ts']) {
    assert.ok(paths.includes(path), path);
  }
  assert.equal(paths.filter((path) => !/^(dist|src|README\.md|LICENSE|package\.json)/.test(path)), []);
  assert.ok(size < 100_000, `${size} bytes`);
}, LIMIT);

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
