import { execFile } from 'node:child_process';
import type { EventEmitter } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import {
  connect,
  type Connection,
  type ConnectionEvents,
  type DialContext,
  type Drop,
  lengthPrefixed,
  type Link,
  type ReadyState,
  type ReconErrorCode,
  type Retry,
  type Stats,
} from 'recon';
import * as assert from 'uvu/assert';
import { rejection } from './helpers.js';
import { programs, Stage, transcribe } from './readme-programs.js';
import { anchorOf, readPage, Workshop } from './readme.js';
import { suite } from './suite.js';

const test = suite('readme');
const run = promisify(execFile);
const page = readPage();
const sources = page.blocks.filter(({ language }) => language === 'ts');

test('each block of code is in a language that is looked after here', () => {
  const languages = new Set(page.blocks.map(({ language }) => language));
  assert.equal([...languages].sort(), ['console', 'sh', 'ts']);
});

test('each program compiles', async () => {
  using workshop = new Workshop();
  // Under as many empty lines as there are above it on the page, so that the compiler tells the page's own.
  for (const { above, code } of sources) workshop.put(`README-${above}.ts`, '\n'.repeat(above) + code);
  await run(process.execPath, ['node_modules/typescript/bin/tsc', '--pretty', 'false', '-p', workshop.folder]).catch(
    ({ stdout }: { stdout: string }) => assert.unreachable(stdout),
  );
});

test('each program has something to run against, and a heading of its own', () => {
  assert.equal(sources.map(({ heading }) => heading).sort(), Object.keys(programs).sort());
});

for (const { heading, code } of sources) {
  test(`runs: ${heading}`, async () => {
    await using stage = await Stage.set(code);
    await Promise.race([programs[heading]?.(stage), stage.failure]);
  });
}

test('the transcript is what stayin-alive says', async () => {
  await using stage = await Stage.set('');
  const said = await Promise.race([transcribe(stage), stage.failure]);
  const { code } = page.blocks.find(({ language }) => language === 'console')!;
  const [command, ...lines] = code.split('\n');
  const column = command!.indexOf('$ npm run');
  const shown = lines.map((line) => line.slice(column)).filter((line) => line !== '');
  assert.is(said.trim().replaceAll(String(stage.peer.port), '4321'), shown.join('\n'));
});

test('each command of npm is there, and the robot types what the page says', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const named = Array.from(page.text.matchAll(/npm run (?:--silent )?([\w:-]+)/g), ([, name]) => name!);
  assert.ok(named.length > 5);
  for (const name of named) assert.ok(scripts[name], `npm run ${name}`);
  assert.match(page.text, /^npm ci && npm test\b/m);
  assert.match(readFileSync('.ci/run', 'utf8'), /^npm ci\nnpm test$/m);
});

test('each link and each path leads somewhere', () => {
  const anchors = page.headings.map(anchorOf);
  assert.equal(anchors.length, new Set(anchors).size, 'two headings of one name');
  for (const link of page.links) {
    if (link.startsWith('#')) assert.ok(anchors.includes(link.slice(1)), link);
    else if (!link.startsWith('https://')) assert.ok(existsSync(link), link);
  }
  const paths = page.text.match(/\b(?:src|test|examples)\/[\w./-]*\w/g) ?? [];
  assert.ok(paths.length > 5);
  for (const path of paths) assert.ok(existsSync(path), path);
});

/** Names, of which the compiler knows whether one is missing. */
const names = <Name extends string>(all: Record<Name, true>): string[] => Object.keys(all);

/** The options there are, as the refusal of one that there isn't tells them. */
async function optionsIn(refuse: () => unknown): Promise<string[]> {
  const { message } = await rejection((async () => refuse())());
  return message.split('; there are ')[1]?.split(', ') ?? [];
}

const wrong: object = { nonsense: true };

test('each option has a heading, or stands under one', async () => {
  const options = await optionsIn(() => connect(wrong));
  assert.ok(options.includes('port') && options.includes('heartbeat'));
  const titled = page.headings.flatMap((heading) => heading.match(/\w+/g) ?? []);
  for (const option of options) assert.ok(titled.includes(option), option);
  const nested = [() => connect({ retry: wrong }), () => lengthPrefixed(wrong)];
  for (const option of (await Promise.all(nested.map(optionsIn))).flat()) assert.ok(isMentioned(option), option);
});

const words = new Set([...page.spans, ...page.blocks.map(({ code }) => code)].join(' ').match(/\w+/g));
const isMentioned = (name: string): boolean => words.has(name);

test('each name that can be imported, each member, event, state and error code is mentioned', () => {
  const exported = Array.from(readFileSync('src/index.ts', 'utf8').matchAll(/\{(.*?)\}/gs), ([, list]) => list!)
    .flatMap((list) => list.split(','))
    .map((name) => name.replace('type ', '').trim());
  assert.ok(exported.includes('connect') && exported.includes('Stats'));
  const members = [
    ...names<Exclude<keyof Connection, keyof EventEmitter | 'opened' | symbol>>({
      batches: true, bufferedAmount: true, closed: true, destroy: true, end: true, links: true, readyState: true,
      reconnect: true, ref: true, stats: true, stream: true, unref: true, write: true,
    }),
    ...names<Exclude<keyof Link, symbol>>({
      number: true, openedAt: true, peer: true, read: true, reason: true, socket: true, write: true,
    }),
    ...names<keyof Stats>({
      attempts: true, bytesDiscarded: true, bytesRead: true, bytesWritten: true, lastError: true, links: true,
    }),
    ...names<keyof DialContext>({ attempt: true, signal: true }),
  ];
  const told = [
    ...names<keyof ConnectionEvents<unknown, unknown>>({
      close: true, connect: true, drain: true, drop: true, error: true, reconnect: true, retry: true,
    }),
    ...names<keyof Drop<unknown, unknown>>({ discarded: true, link: true, reason: true }),
    ...names<keyof Retry>({ attempt: true, delay: true, error: true }),
    ...names<ReadyState>({ closed: true, closing: true, open: true, opening: true, reopening: true }),
    ...names<ReconErrorCode>({
      ERR_RECON_BUFFER_FULL: true, ERR_RECON_CLOSED: true, ERR_RECON_CODEC: true, ERR_RECON_DROPPED: true,
      ERR_RECON_READING: true, ERR_RECON_TIMEOUT: true, ERR_RECON_UNFLUSHED: true,
    }),
  ];
  for (const name of [...exported, ...members, ...told]) assert.ok(isMentioned(name), name);
});

test('each file of the source is in the guide', () => {
  const guide = readFileSync('.github/CONTRIBUTING.md', 'utf8');
  for (const file of readdirSync('src').filter((name) => name.endsWith('.ts'))) assert.ok(guide.includes(`\`${file}\``), file);
});

test('what is said of the storm is what the chart was drawn from', () => {
  interface Result { name: string; seconds: number; figures: { returning: { second: number; tenth: number }; back: Record<string, number> } }
  const { outages } = JSON.parse(readFileSync('test/storm/storm.json', 'utf8')) as { outages: Result[][] };
  const [ours, theirs] = outages.flat().filter(({ seconds }) => seconds === 600);
  const { returning, back } = ours!.figures;
  const said =
    `at most ${returning.second} attempts a second when it returns (plain p-retry: ` +
    `${theirs!.figures.returning.tenth.toLocaleString('en')} in one instant), all back within ${Math.ceil(back['100']!)} s`;
  assert.ok(page.text.replace(/\s+/g, ' ').includes(said), said);
});

test.run();
