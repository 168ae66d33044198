import * as assert from 'uvu/assert';
import { seed } from '../random.js';
import { suite } from '../suite.js';
import { Clock } from './clock.js';
import { contenders, recon } from './contenders.js';
import { type Figures, figures } from './figures.js';
import { simulate } from './simulate.js';

const test = suite('storm');

/** How many times the mean the densest second may be, once the first redials are over. */
const BOUND = 2;
/** As many clients as leave chance no say: not one run in 100,000 goes past the bound. */
const OUTAGES = [
  { seconds: 10, clients: 1_000 },
  { seconds: 60, clients: 3_000 },
  { seconds: 600, clients: 1_500 },
];
/** Seconds: the default `maxTimeout`. */
const LONGEST_WAIT = 30;

/** The densest second, while the server is away and when it returns, in terms of the mean while it was away. */
const density = ({ settled, returning }: Figures): number => Math.max(settled.second, returning.second) / settled.mean;

for (const { seconds, clients } of OUTAGES) {
  test(`a server that was away for ${seconds} s is not stormed, and has all its clients back in time`, async () => {
    const seen = figures(await simulate(recon, { clients, seconds, seed }));
    assert.ok(density(seen) <= BOUND, `${density(seen).toFixed(1)} × the mean in one second`);
    // Each wait is as long as all the waits before it and minTimeout, until it is at the cap.
    const inTime = Math.min(seconds + 0.1, LONGEST_WAIT);
    assert.ok(seen.back[100] <= inTime, `all back after ${seen.back[100]} s`);
  }, 30_000);
}

test("the same bound finds fault with p-retry's own waits, jittered or not", async () => {
  for (const contender of contenders.filter(({ name }) => name.startsWith('p-retry'))) {
    const seen = figures(await simulate(contender, { clients: 2_000, seconds: 60, seed }));
    assert.ok(density(seen) > BOUND, `${contender.name}: ${density(seen).toFixed(1)}`);
  }
});

test('everything follows from the seed', async () => {
  const outage = { clients: 100, seconds: 10, seed };
  const storm = await simulate(recon, outage);
  assert.equal(await simulate(recon, outage), storm);
  assert.not.equal((await simulate(recon, { ...outage, seed: seed + 1 })).arrivals, storm.arrivals);
});

test('timers fire in the order of their time, promises and immediates between them, and all is put back', async () => {
  const real = [setTimeout, clearTimeout, setInterval, setImmediate, Date.now, Math.random, performance.now];
  const told: string[] = [];
  {
    using clock = new Clock(() => 0.5);
    const tell = (what: string) => (): void => void told.push(`${what} ${performance.now()}`);
    setTimeout(tell('late'), 20);
    setTimeout(() => void Promise.resolve().then(() => setImmediate(tell('early'))), 10);
    clearTimeout(setTimeout(tell('cleared'), 15));
    const interval = setInterval(tell('again'), 8);
    await clock.run(17);
    clearInterval(interval);
    await clock.run(10);
    assert.is(Date.now(), 27);
    assert.is(Math.random(), 0.5);
  }
  assert.equal(told, ['again 8', 'early 10', 'again 16', 'late 20']);
  assert.equal([setTimeout, clearTimeout, setInterval, setImmediate, Date.now, Math.random, performance.now], real);
});

test.run();
