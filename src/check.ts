import { inspect } from 'node:util';
import { isUint8Array } from 'node:util/types';

/** Accepts a value or throws a `TypeError` or `RangeError` that names the option and shows the value. */
export type Check = (value: unknown, name: string) => void;

function show(value: unknown): string {
  try {
    return inspect(value, { depth: 0, maxStringLength: 80, breakLength: Infinity });
  } catch {
    return 'what throws when it is looked at';
  }
}

export const wrongType = (name: string, expected: string, value: unknown, cause?: unknown): TypeError =>
  new TypeError(`recon: ${name} must be ${expected}, got ${show(value)}`, cause === undefined ? undefined : { cause });

export const outOfRange = (name: string, expected: string, value: unknown): RangeError =>
  new RangeError(`recon: ${name} must be ${expected}, got ${show(value)}`);

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A check that some type is right, in the words that complete "must be …". */
const is =
  (expected: string, test: (value: unknown) => boolean): Check =>
  (value, name) => {
    if (!test(value)) throw wrongType(name, expected, value);
  };

export const boolean = is('a boolean', (value) => typeof value === 'boolean');
export const callback = is('a function', (value) => typeof value === 'function');
export const text = is('a string that is not empty', (value) => typeof value === 'string' && value !== '');
export const anyText = is('a string', (value) => typeof value === 'string');
export const uint8Array = is('a Uint8Array', isUint8Array);
/** Node 20 aborts the process for a name that is empty or too long. */
export const protocols = is('a list of names of 1 to 255 bytes, or bytes', (value) =>
  Array.isArray(value)
    ? value.every((name) => typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= 255)
    : ArrayBuffer.isView(value),
);
export const secureContext = is('what tls.createSecureContext() returns', (value) => isObject(value) && 'context' in value);
export const duration = is('a finite number of milliseconds, 0 or more', (value) => Number.isFinite(value) && (value as number) >= 0);
/** For what has another place. */
export const absent = (instead: string): Check => is(`undefined (use ${instead})`, () => false);
export const abortSignal = is('an AbortSignal', (value) => value instanceof AbortSignal);

/** A number from `least` up. `Infinity` passes, as "no limit". */
export const atLeast =
  (least: number, unit: string): Check =>
  (value, name) => {
    const expected = `a number of ${unit}, ${least} or more`;
    if (typeof value !== 'number') throw wrongType(name, expected, value);
    if (!(value >= least)) throw outOfRange(name, expected, value);
  };

export const milliseconds = atLeast(0, 'milliseconds');

export const oneOf = (...choices: string[]): Check =>
  is(`one of ${choices.map(show).join(', ')}`, (value) => choices.includes(value as string));

/** A port: an integer from 0 to 65535, or a string of its digits. Returns the number. */
export function port(value: unknown, name = 'port'): number {
  const expected = 'an integer from 0 to 65535';
  const isDigits = typeof value === 'string' && /^\d+$/.test(value);
  if (typeof value !== 'number' && !isDigits) throw wrongType(name, expected, value);
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) throw outOfRange(name, expected, value);
  return number;
}

/**
 * An object that has only the keys in `checks`, each passing its own. A key that is `undefined` counts as absent.
 * @param elsewhere - options of other objects, by their path, which may have been meant
 */
export function shape(
  value: unknown,
  name: string,
  checks: Readonly<Record<string, Check>>,
  elsewhere: readonly string[] = [],
): void {
  // A Map, a Date or an AbortSignal has no options to read.
  if (Object.prototype.toString.call(value) !== '[object Object]') throw wrongType(name || 'options', 'an object', value);
  for (const [key, entry] of Object.entries(value as object)) {
    const path = name === '' ? key : `${name}.${key}`;
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    if (check === undefined) {
      const known = Object.keys(checks);
      const meant = likely(key, [...known, ...elsewhere]);
      const hint = meant.length > 0 ? `: did you mean ${meant.join(' or ')}?` : `; there are ${known.join(', ')}`;
      throw new TypeError(`recon: ${path} is not an option (got ${show(entry)})${hint}`);
    }
    if (entry !== undefined) check(entry, path);
  }
}

/** Options that may have been meant: the same but for case, or else one within the other, or within two edits. */
function likely(written: string, options: readonly string[]): string[] {
  const a = written.toLowerCase();
  const whose = (test: (b: string) => boolean): string[] =>
    options.filter((option) => test(option.slice(option.lastIndexOf('.') + 1).toLowerCase()));
  const same = whose((b) => a === b);
  return same.length > 0 ? same : whose((b) => (a.length > 3 && b.includes(a)) || a.includes(b) || edits(a, b) <= 2);
}

/** Letters to be put in, taken out or changed to make one word the other (Levenshtein). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...a].entries()) {
    const above = row;
    row = [index + 1];
    for (let at = 0; at < b.length; at++) {
      row.push(Math.min(row[at]! + 1, above[at + 1]! + 1, above[at]! + Number(letter !== b[at])));
    }
  }
  return row[b.length]!;
}
