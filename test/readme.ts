import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fenced block of code. */
export interface Block {
  /** The nearest heading above it. */
  readonly heading: string;
  readonly language: string;
  readonly code: string;
  /** Lines of the page above the code. */
  readonly above: number;
}

/** README.md, taken apart. */
export interface Page {
  readonly text: string;
  readonly headings: readonly string[];
  readonly blocks: readonly Block[];
  /** What is set `as code` within the prose. */
  readonly spans: readonly string[];
  /** Where links and pictures lead. */
  readonly links: readonly string[];
}

const FENCED = /^```(.*)\n([^]*?)^```$/gm;

export function readPage(): Page {
  const text = readFileSync('README.md', 'utf8');
  const prose = text.replace(FENCED, '');
  const all = (pattern: RegExp, part: string): string[] => Array.from(part.matchAll(pattern), ([, found]) => found!);
  const headingsOf = (part: string): string[] => all(/^#+ (.*)$/gm, part);
  const blocks = Array.from(text.matchAll(FENCED), ({ index, 1: language, 2: code }) => {
    const before = text.slice(0, index);
    const heading = headingsOf(before.replace(FENCED, '')).at(-1) ?? '';
    return { heading, language: language!, code: code!, above: before.split('\n').length };
  });
  return { text, headings: headingsOf(prose), blocks, spans: all(/`([^`\n]+)`/g, prose), links: all(/\]\(([^)\s]+)\)/g, prose) };
}

/** The name under which GitHub has a heading. */
export const anchorOf = (heading: string): string =>
  heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');

const root = process.cwd();

const TSCONFIG = {
  extends: join(root, 'tsconfig.json'),
  compilerOptions: { typeRoots: [join(root, 'node_modules/@types')] },
  include: ['.'],
  exclude: [],
};

/** A folder outside the repository where programs find `recon`, by the repository's own compiler options. */
export class Workshop implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'recon-readme-'));

  constructor() {
    this.put('package.json', '{ "type": "module" }');
    this.put('tsconfig.json', JSON.stringify(TSCONFIG));
  }

  /** Returns the file's path. */
  put(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}
