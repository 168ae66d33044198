/**
 * Runs the benchmarks: `npm run bench`, or `npm run bench -- write lines` for some. It never fails on a number: it reports.
 *
 * Each contender takes its turn in each round of a workload (whom no bar concerns, in three of them), in an order that
 * changes, every time with a fresh server and a fresh client. Only a run of everything is written to `results.json` and
 * `results.svg`, so that these are of one machine and one day.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, release, type } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chart } from './chart.js';
import { contenders, peers } from './contenders/index.js';
import { installPeers, isInstalled } from './install.js';
import { measure } from './measure.js';
import { Progress } from './progress.js';
import { type Result, type Round, summarize } from './results.js';
import { table } from './table.js';
import { type Sample, type Workload, workloads } from './workloads.js';

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, 'no-peers': { type: 'boolean', default: false } },
});
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
const withPeers = !values['no-peers'];
const folder = import.meta.dirname;

const unknown = wanted.filter((name) => !workloads.some((workload) => workload.name === name));
if (unknown.length > 0 || (rounds !== undefined && !(rounds >= 1))) {
  console.error(`usage: npm run bench -- [${workloads.map(({ name }) => name).join('|')}]… [--rounds n] [--no-peers]`);
  process.exit(1);
}

/** Turns of a contender that no bar concerns: the rest of the time is for those that one does. */
const TURNS_OF_OTHERS = 3;

const takesPart = (contender: string): boolean => withPeers || !peers.includes(contender);
const chosen = workloads
  .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
  .map((workload) => ({ ...workload, contenders: workload.contenders.filter(takesPart) }));

/** What is measured is plain JavaScript, with no loader beside it, compiled against what is shipped. */
function compile(): void {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '-p', folder], { stdio: 'inherit' });
}

async function compete(workload: Workload): Promise<Result> {
  const problems = new Map<string, string>();
  for (const peer of peers) if (!isInstalled(peer)) problems.set(peer, 'not installed');
  const brought: Round[] = [];
  progress.workload(workload.name);
  for (const [index, turns] of plan(workload).entries()) {
    progress.round(index + 1);
    brought.push(await competeOnce(workload, turns, problems));
  }
  progress.clear();
  const { kind } = workload.job;
  return summarize(workload, brought, (contender) => ({
    problem: problems.get(contender),
    note: kind === 'write' ? contenders[contender]?.notes?.write : undefined,
  }));
}

/** One turn for each contender that has not failed yet. */
async function competeOnce(workload: Workload, turns: readonly string[], problems: Map<string, string>): Promise<Round> {
  const samples: Record<string, Sample> = {};
  for (const contender of turns) {
    progress.turn(`${workload.name}: ${contender}`);
    if (problems.has(contender)) continue;
    try {
      samples[contender] = await measure(workload, contender);
    } catch (error) {
      problems.set(contender, (error as Error).message);
    }
  }
  return samples;
}

/** The turns of each round. Another contender begins, and another comes before each. */
function plan({ contenders, comparisons, rounds: usual }: Workload): string[][] {
  const length = rounds ?? usual;
  const atStake = new Set(comparisons.flatMap(({ to, bars }) => [to, ...Object.keys(bars)]));
  const everyoneIn = Math.ceil(length / TURNS_OF_OTHERS);
  return Array.from({ length }, (_, round) => {
    const those = contenders.filter((contender) => atStake.has(contender) || round % everyoneIn === 0);
    const start = round % those.length;
    const turns = [...those.slice(start), ...those.slice(0, start)];
    return round % 2 === 0 ? turns : turns.reverse();
  });
}

function write(results: readonly Result[]): void {
  const node = process.version;
  const cpu = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const cores = availableParallelism();
  const date = new Date().toISOString().slice(0, 10);
  const all = { date, node, cpu, cores, system: `${type()} ${release()}`, results };
  writeFileSync(join(folder, 'results.json'), json(all));
  const about = 'Bars are medians of several rounds, thin lines their spread, dashes what recon aims at.';
  writeFileSync(join(folder, 'results.svg'), chart(results, `${about} Node ${node}, ${cpu}, ${cores} cores, ${date}.`));
}

/** As text in which a figure is one line, of five digits that count. */
function json(value: unknown): string {
  const precise = (_: string, each: unknown): unknown => (typeof each === 'number' ? Number(each.toPrecision(5)) : each);
  const text = JSON.stringify(value, precise, 2);
  return `${text.replace(/\{[^{}[\]]*\}/g, (leaf) => leaf.replace(/\s+/g, ' '))}\n`;
}

compile();
if (withPeers) installPeers();
const progress = new Progress(chosen.flatMap(plan).flat().length);
const results: Result[] = [];
for (const workload of chosen) {
  const result = await compete(workload);
  console.log(`${table(result)}\n`);
  results.push(result);
}
if (wanted.length === 0 && withPeers) {
  write(results);
  console.log('written: test/bench/results.json and results.svg');
} else console.log('results.json and results.svg are left alone: they are for a run of everything');
