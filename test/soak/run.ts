/**
 * Chaos for as long as one likes: connections of every transport and codec, slow and fast readers, servers that are
 * restarted. `npm run soak -- [--minutes 30] [--seed 1]`; Ctrl-C ends it early. It fails when a promise was broken, or
 * when anything grew between the first rounds and the last (`gauge.ts` says what, and by how much it may vary).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { leftOver } from '../chaos/resources.js';
import { Gauge } from './gauge.js';
import { Soak } from './soak.js';
import { clock, compared, happened } from './table.js';

/** Milliseconds. */
const ROUND = 15_000;
const MINUTE = 60_000;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, seed: { type: 'string', default: String(Date.now() >>> 0) } },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
const length = minutes * MINUTE;
console.log(`seed ${seed}`);

const before = process.getActiveResourcesInfo();
const started = performance.now();
const elapsed = (): number => performance.now() - started;
let interrupted = false;
process.once('SIGINT', () => (interrupted = true));

let round = 0;
const soak = new Soak(seed, (problem) => {
  console.log(`${clear}BROKEN in round ${round}: ${problem}\n  again: npm run soak -- --minutes ${minutes} --seed ${seed}`);
});
const gauge = new Gauge();

const clear = process.stdout.isTTY ? '\r\x1b[K' : '';
let told = -Infinity;
/** One line that is written over, or, where that is not possible, one a minute. */
function progress(): void {
  if (!clear && elapsed() < told + MINUTE) return;
  told = elapsed();
  const parts = [`${clock(told)} of ${clock(length)}`, `round ${round}`, `links ${soak.links}`];
  if (gauge.last) {
    const { memory, handles, delay } = gauge.last;
    parts.push(`memory ${memory.toFixed(1)} MiB`, `handles ${handles}`, `delay ${delay.toFixed(0)} ms`);
  }
  parts.push(`broken ${soak.broken.length}`);
  process.stdout.write(`${clear}${parts.join('  ')}${clear ? '' : '\n'}`);
}

const ticker = setInterval(progress, 1_000).unref();
await soak.begin();
let rested = true;
while (rested && !interrupted && elapsed() < length) {
  round += 1;
  const end = Math.min(elapsed() + ROUND, length);
  gauge.begin();
  rested = await soak.round(round, () => interrupted || elapsed() >= end);
  gauge.end(soak.residents, soak.signal);
}
if (rested) await soak.end();
clearInterval(ticker);

const deadline = elapsed() + 5_000;
while (rested && leftOver(before).length > 0 && elapsed() < deadline) await sleep(50);
const left = leftOver(before);
const comparisons = gauge.compare();
const grew = comparisons.filter((comparison) => comparison.grew);
console.log(`${clear}${clock(elapsed())}, ${round} rounds, seed ${seed}\n\n${happened(soak)}\n\n${compared(comparisons)}\n`);
if (left.length > 0) console.log(`left over: ${left.join(', ')}`);
console.log(`${soak.broken.length} promises broken; ${grew.map(({ gauge: name }) => name).join(', ') || 'nothing'} grew`);
process.exit(soak.broken.length > 0 || grew.length > 0 || left.length > 0 ? 1 : 0);
