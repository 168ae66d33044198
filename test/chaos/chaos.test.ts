import * as assert from 'uvu/assert';
import { Tally } from './account.js';
import { DIALECTS } from './dialects.js';
import { type Itinerary, Journey } from './journey.js';
import { leftOver } from './resources.js';
import { Generator } from '../generator.js';
import { eventually } from '../peer.js';
import { seed } from '../random.js';
import { suite } from '../suite.js';

const test = suite('chaos');

/** Links of each connection that have a misfortune, at least, and messages that it writes, at least. */
const LINKS = 8;
const MESSAGES = 300;

const CUTS = { FIN: ['FIN', 'half', 'close'], RST: ['RST'] } as const;

/** Milliseconds in which everything must be gone that a test has used. */
const PATIENCE = 2_000;

/** One connection for each codec, at the same time. Returns the promises that were broken. */
async function run(
  title: string,
  cut: keyof typeof CUTS,
  options: Pick<Itinerary, 'transport' | 'unflushed'>,
): Promise<string[]> {
  const before = process.getActiveResourcesInfo();
  const total = new Tally();
  const broken: string[] = [];
  const complain = (problem: string): void => {
    broken.push(problem);
    // At once: if something hangs for it, and the whole file is stopped, nothing else is told.
    console.log(`\n${title}: ${problem}`);
  };
  const journeys = DIALECTS.map(async (dialect) => {
    const random = new Generator(seed).fork(title, dialect.name);
    // Some come to an end in peace, the others in the midst of it.
    const unlucky = random.chance(0.5) ? LINKS : Infinity;
    const journey = await Journey.begin({ ...options, dialect, troubles: CUTS[cut], unlucky }, random);
    await journey.write(() => journey.proxy.accepted > LINKS && journey.account.writes.count >= MESSAGES);
    total.add(await (random.chance(0.9) ? journey.end() : journey.destroy()));
    for (const problem of journey.account.problems.slice(0, 5)) complain(`${dialect.name}: ${problem}`);
  });
  await Promise.all(journeys);
  const patience = performance.now() + PATIENCE;
  await eventually(() => leftOver(before).length === 0 || performance.now() > patience);
  for (const resource of leftOver(before)) complain(`a ${resource} is left`);
  if (total.struck < (DIALECTS.length * LINKS) / 2) complain(`only ${total.struck} links had a misfortune`);
  if (total.lost === 0) complain('nothing was lost on its way: there was no chaos');
  return broken;
}

for (const transport of ['tcp', 'tls', 'duplex'] as const) {
  for (const unflushed of ['resend', 'reject'] as const) {
    for (const cut of ['FIN', 'RST'] as const) {
      const title = `every codec over ${transport}, cut by ${cut}, unflushed: '${unflushed}'`;
      const body = async (): Promise<void> => {
        const broken = await run(title, cut, { transport, unflushed });
        assert.equal(broken, [], `again: SEED=${seed} ONLY="${title}" npx tsx --expose-gc test/chaos/chaos.test.ts`);
      };
      test(title, body, 30_000);
    }
  }
}

test.run();
