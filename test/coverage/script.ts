import { readdirSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What V8 writes of one function: the function itself, then blocks in it that ran more or less often, outer ones first. */
interface FunctionCoverage {
  readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
}

/** What one process reports (`NODE_V8_COVERAGE`), of all its scripts. */
interface ProcessCoverage {
  readonly result: readonly { readonly url: string; readonly functions: readonly FunctionCoverage[] }[];
  readonly 'source-map-cache'?: Readonly<Record<string, { readonly lineLengths: readonly number[]; readonly data: SourceMapPayload }>>;
}

type Mapped = NonNullable<ProcessCoverage['source-map-cache']>[string];

/** A piece of source that no process ran. */
export interface Gap {
  /** From 1 on. */
  readonly line: number;
  readonly lastLine: number;
  /** The whole of its first line, and that from where it begins. */
  readonly context: string;
  readonly text: string;
}

/** How many there are, and of how many none was run. */
export interface Count {
  total: number;
  missed: number;
}

/** What would not be run whatever happened: V8 takes what follows a `return` or a `throw` for a block of its own. */
const isPunctuation = (character: string | undefined): boolean => character === undefined || /[\s()[\]{};,]/.test(character);

/**
 * One source file as all processes together have run it. Offsets are those of the code that the loader made of it, and are
 * told in terms of the source in the end.
 */
export class Script {
  readonly #lineStarts: number[] = [];
  readonly #map: SourceMap;
  readonly #source: string;
  readonly #lines: readonly string[];
  /** Whether the character at an offset has been run, by any process. */
  readonly #ran: Uint8Array;
  readonly #functions = new Set<string>();
  readonly #blocks = new Set<string>();

  constructor({ lineLengths, data }: Mapped) {
    let length = 0;
    for (const lineLength of lineLengths) {
      this.#lineStarts.push(length);
      length += lineLength + 1;
    }
    this.#ran = new Uint8Array(length);
    this.#map = new SourceMap(data);
    this.#source = sourceOf(data);
    this.#lines = this.#source.split('\n');
  }

  /** Adds what one process has run of it. */
  add(functions: readonly FunctionCoverage[], { data }: Mapped): void {
    if (sourceOf(data) !== this.#source) throw new Error('a source file was changed while the tests ran');
    const ran = new Uint8Array(this.#ran.length);
    for (const { ranges } of functions) {
      ranges.forEach(({ startOffset, endOffset, count }, index) => {
        ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
        (index === 0 ? this.#functions : this.#blocks).add(`${startOffset}-${endOffset}`);
      });
    }
    ran.forEach((one, offset) => {
      if (one) this.#ran[offset] = 1;
    });
  }

  get functions(): Count {
    return this.#count(this.#functions);
  }

  /** Blocks that ran more or less often than what is around them, in some process. */
  get blocks(): Count {
    return this.#count(this.#blocks);
  }

  /** What no process ran, in order. */
  get gaps(): Gap[] {
    const gaps: Gap[] = [];
    for (let start = this.#ran.indexOf(0); start !== -1; ) {
      const next = this.#ran.indexOf(1, start);
      const end = next === -1 ? this.#ran.length : next;
      const gap = this.#gap(start, end);
      if (gap) gaps.push(gap);
      start = next === -1 ? -1 : this.#ran.indexOf(0, next);
    }
    return gaps.sort((one, other) => one.line - other.line);
  }

  /** The loader's own helpers are nowhere in the source, and don't count. */
  #count(ranges: ReadonlySet<string>): Count {
    const count: Count = { total: 0, missed: 0 };
    for (const range of ranges) {
      const [start = 0, end = 0] = range.split('-').map(Number);
      if (this.#places(start, end).length === 0) continue;
      count.total += 1;
      if (!this.#ran.subarray(start, end).includes(1)) count.missed += 1;
    }
    return count;
  }

  #gap(start: number, end: number): Gap | undefined {
    const places = this.#places(start, end);
    const [first] = places;
    if (first === undefined) return undefined;
    const lastLine = Math.max(...places.map(({ line }) => line));
    const context = this.#lines[first.line]!;
    return { line: first.line + 1, lastLine: lastLine + 1, context, text: context.slice(first.column).trim() };
  }

  /** Where in the source lies what the loader has put between two offsets, punctuation aside; in order, and from 0 on. */
  #places(start: number, end: number): { line: number; column: number }[] {
    const places: { line: number; column: number }[] = [];
    for (let offset = start; offset < end; offset++) {
      const line = this.#lineStarts.findLastIndex((lineStart) => lineStart <= offset);
      const column = offset - this.#lineStarts[line]!;
      const entry = this.#map.findEntry(line, column);
      const isStart = 'originalLine' in entry && entry.generatedLine === line && entry.generatedColumn === column;
      if (!isStart || isPunctuation(this.#lines[entry.originalLine]?.[entry.originalColumn])) continue;
      places.push({ line: entry.originalLine, column: entry.originalColumn });
    }
    return places.sort((one, other) => one.line - other.line || one.column - other.column);
  }
}

/** The files of the folder `source`, by their names, as all processes that reported into the folder `reports` have run them. */
export function merge(reports: string, source: string): Map<string, Script> {
  const scripts = new Map<string, Script>();
  for (const name of readdirSync(reports)) {
    const { result, 'source-map-cache': maps = {} } = JSON.parse(readFileSync(join(reports, name), 'utf8')) as ProcessCoverage;
    for (const { url, functions } of result) {
      const mapped = maps[url];
      if (!url.startsWith(`${pathToFileURL(source)}/`) || mapped === undefined) continue;
      const file = basename(fileURLToPath(url));
      const script = scripts.get(file) ?? new Script(mapped);
      script.add(functions, mapped);
      scripts.set(file, script);
    }
  }
  return scripts;
}

const sourceOf = ({ sourcesContent }: SourceMapPayload): string => (sourcesContent as unknown as string[])[0] ?? '';
