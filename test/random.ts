/** Chance that can be had again: all of it follows from one seed, which is printed, and set by `SEED=…`. */
export const seed = Number(process.env['SEED'] ?? Date.now()) >>> 0;
console.log(`SEED=${seed}`);

let state = seed;

/** At least 0 and below 1 (mulberry32). */
function fraction(): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

/** An integer from `least` to `most`, both included. */
export const between = (least: number, most: number): number => least + Math.floor(fraction() * (most - least + 1));

export const chance = (probability: number): boolean => fraction() < probability;

export const oneOf = <T>(choices: ArrayLike<T>): T => choices[between(0, choices.length - 1)] as T;

export const list = <T>(length: number, make: () => T): T[] => Array.from({ length }, make);

/** Bytes of any value, or of those given. */
export const bytes = (length: number, alphabet?: ArrayLike<number>): Buffer =>
  Buffer.from(list(length, () => (alphabet ? oneOf(alphabet) : between(0, 255))));

/** The same bytes in pieces of any size, empty ones too. */
export function pieces(whole: Buffer): Buffer[] {
  const cuts = list(between(0, 8), () => between(0, whole.length)).sort((a, b) => a - b);
  return [0, ...cuts].map((start, index) => whole.subarray(start, cuts[index] ?? whole.length));
}
