/**
 * Retry storms: 10,000 clients of one server that dies for 10 s, 60 s and 10 min, in time that a clock of our own makes.
 * Prints who arrives when, draws it (`storm.svg`) and keeps the figures (`storm.json`).
 *
 * `npm run storm -- [--seed 1] [--clients 10000] [--full]`; `--full` prints the arrivals of every second.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { contenders } from './contenders.js';
import { draw } from './draw.js';
import { figures, perSecond } from './figures.js';
import { full, type Result, summary } from './print.js';
import { simulate } from './simulate.js';

const OUTAGES = [10, 60, 600];

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '10000' },
    full: { type: 'boolean', default: false },
  },
});
const [seed, clients] = [Number(values.seed), Number(values.clients)];
const started = performance.now();
console.log(`seed ${seed}\n`);

const outages: Result[][] = [];
for (const seconds of OUTAGES) {
  const results: Result[] = [];
  for (const contender of contenders) {
    const storm = await simulate(contender, { clients, seconds, seed });
    results.push({ name: contender.name, seconds, figures: figures(storm), perSecond: perSecond(storm) });
  }
  outages.push(results);
  console.log(`${summary(results, clients)}\n`);
  if (values.full) console.log(`${full(results)}\n`);
}

const write = (name: string, content: string): void => writeFileSync(join(import.meta.dirname, name), content);
const rounded = (_: string, value: unknown): unknown =>
  typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value;
const onOneLine = (list: string): string => list.replace(/\s+/g, '');
const json = JSON.stringify({ seed, clients, outages }, rounded, 2).replace(/\[[\d,\s]+\]/g, onOneLine);
write('storm.json', `${json}\n`);
write('storm.svg', draw(outages, clients));
console.log(`storm.svg and storm.json are written; it took ${((performance.now() - started) / 1000).toFixed(0)} s`);
