import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of memory in use, garbage aside. */
export function used(): number {
  // The second time waits until the memory of the first's buffers is given back.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes of memory that are held, garbage aside, for as long as what `make` returns is. */
export function held(make: () => unknown): number {
  const before = used();
  const made = make();
  const after = used();
  // Mentioned after the measurement, so that it is still there during it.
  return made === undefined ? 0 : after - before;
}
