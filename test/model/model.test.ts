// A model of what sections 3 and 4 of the contract promise (`model.ts`, and `connection.ts` for what links do to it) is
// driven beside the real thing through thousands of lives (`life.ts`), whose every step they must agree about.
import { inspect } from 'node:util';
import { Bare } from './bare.js';
import type { ModelOptions } from './connection.js';
import { Life } from './life.js';
import { anyStep, type Step } from './steps.js';
import { Whole } from './whole.js';
import * as random from '../random.js';
import { suite } from '../suite.js';

const test = suite('model');

/** How many lives each test goes through: `LIVES=20000` for more. */
const LIVES = Number(process.env['LIVES'] ?? 2_000);

function anyOptions(isWhole: boolean): ModelOptions {
  const inLines = random.chance(0.3);
  const hasWriteTimeout = isWhole && random.chance(0.2);
  return {
    inLines,
    highWaterMark: !inLines && random.chance(0.3) ? 60_000 : Infinity,
    maxBufferedAmount: random.oneOf([10, 5_000, 500_000, Infinity]),
    unflushed: hasWriteTimeout ? 'resend' : random.oneOf(['resend', 'reject'] as const),
    retries: random.oneOf([0, 1, 2, Infinity, Infinity, Infinity]),
    hasOnLink: isWhole && random.chance(0.3),
    hasWriteTimeout,
  };
}

/** What they disagree about, if they do, and how it came to that. */
async function disagreement(life: Life, steps: readonly Step[]): Promise<string | undefined> {
  try {
    await life.live(steps);
    return undefined;
  } catch (error) {
    return [(error as Error).message, ...life.story].join('\n    ');
  }
}

/** Leaves out what the disagreement does without: larger parts first, then single steps. */
async function shortened(steps: readonly Step[], fails: (steps: readonly Step[]) => Promise<boolean>): Promise<readonly Step[]> {
  let least = steps;
  for (let size = steps.length; size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < least.length; ) {
      const fewer = [...least.slice(0, start), ...least.slice(start + size)];
      if (await fails(fewer)) least = fewer;
      else start += size;
    }
  }
  return least;
}

for (const [what, World] of [['the outbox and the inbox alone', Bare], ['a whole connection', Whole]] as const) {
  const title = `${what}: whatever is written, read, broken, dropped and ended, it is as the model has it`;
  test(title, async () => {
    for (let number = 0; number < LIVES; number++) {
      const options = anyOptions(World === Whole);
      const steps = random.list(random.between(1, 60), anyStep);
      if ((await disagreement(new Life(options, World), steps)) === undefined) continue;
      const fails = async (fewer: readonly Step[]): Promise<boolean> => (await disagreement(new Life(options, World), fewer)) !== undefined;
      const shortest = await disagreement(new Life(options, World), await shortened(steps, fails));
      throw new Error(`life ${number}, with ${inspect(options, { breakLength: Infinity })}:\n    ${shortest}`);
    }
  }, 60_000);
}

test.run();
