import { Generator } from './generator.js';

/** Chance that can be had again: all of it follows from one seed, which is printed, and set by `SEED=…`. */
export const seed = Number(process.env['SEED'] ?? Date.now()) >>> 0;
console.log(`SEED=${seed}`);

const generator = new Generator(seed);

/** An integer from `least` to `most`, both included. */
export const between = (least: number, most: number): number => generator.between(least, most);

export const chance = (probability: number): boolean => generator.chance(probability);

export const oneOf = <T>(choices: ArrayLike<T>): T => generator.oneOf(choices);

export const list = <T>(length: number, make: () => T): T[] => Array.from({ length }, make);

/** Bytes of any value, or of those given. */
export const bytes = (length: number, alphabet?: ArrayLike<number>): Buffer =>
  Buffer.from(list(length, () => (alphabet ? oneOf(alphabet) : between(0, 255))));

/** The same bytes in pieces of any size, empty ones too. */
export function pieces(whole: Buffer): Buffer[] {
  const cuts = list(between(0, 8), () => between(0, whole.length)).sort((a, b) => a - b);
  return [0, ...cuts].map((start, index) => whole.subarray(start, cuts[index] ?? whole.length));
}
