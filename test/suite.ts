import { suite as uvuSuite } from 'uvu';

/** Milliseconds a test may take, unless it says otherwise. */
const LIMIT = 10_000;

/** A part of the titles of the only tests to run, for work on one. */
const ONLY = process.env['ONLY'] ?? '';

type Test = (name: string, run: () => Promise<void> | void, limit?: number) => void;

/**
 * A suite of uvu whose every test has a time limit, which uvu lacks: a promise that never settles would otherwise end
 * the process in silence. There are no hooks: one that throws would pass for success.
 */
export function suite(name: string): Test & { run(): void } {
  const tests = uvuSuite(name);
  const add: Test = (title, run, limit = LIMIT) => {
    if (!title.includes(ONLY)) return;
    tests(title, async () => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`"${title}" took more than ${limit} ms`)), limit);
      });
      try {
        await Promise.race([run(), late]);
      } finally {
        clearTimeout(timer);
      }
    });
  };
  return Object.assign(add, { run: () => tests.run() });
}
