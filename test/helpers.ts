import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Connection, ConnectOptions, Link } from 'recon';

/** Retries without the waits that suit a network. */
export const quick = { minUptime: 0, retry: { minTimeout: 5, maxTimeout: 20 } } satisfies ConnectOptions;

/** The error that a promise rejects with; fails if it doesn't. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new assert.Assertion({ message: 'expected a rejection', details: '', generated: false, operator: 'rejects', expects: 'a rejection', actual: 'none' });
}

/** The code of the error that a promise rejects with. */
export const codeOf = async (promise: Promise<unknown>): Promise<string | undefined> => (await rejection(promise)).code;

/** Reads until `enough` of what was read, joined, says so. */
export async function readText(conn: AsyncIterable<Buffer | string>, enough: (text: string) => boolean): Promise<string> {
  let text = '';
  for await (const chunk of conn) {
    text += chunk.toString();
    if (enough(text)) break;
  }
  return text;
}

/** The arguments of the next event of this name. */
export const next = async <T>(conn: Connection<any, any>, name: string): Promise<T> => {
  const [argument] = await once(conn, name);
  return argument as T;
};

/** The link that is up. */
export async function here<In, Out>(conn: Connection<In, Out>): Promise<Link<In, Out>> {
  for await (const link of conn.links()) return link;
  throw new Error('the connection has ended');
}

/** Keeps the process busy for so many milliseconds. */
export function spin(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

/** For comparing what is too long to be shown. */
export const digest = (data: Uint8Array): string => createHash('sha1').update(data).digest('hex');

/** Whether a promise is still pending after everything that is ready has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  const turn = new Promise((resolve) => setImmediate(() => setImmediate(resolve, pending)));
  return (await Promise.race([promise.catch(() => {}), turn])) === pending;
}

/** Every event in order, as words. */
export function record(conn: Connection<any, any>): string[] {
  const told: string[] = [];
  for (const name of ['connect', 'reconnect', 'drop', 'retry', 'drain', 'error', 'close'] as const) {
    conn.on(name, () => told.push(name));
  }
  return told;
}

/** Runs with the path of a Unix socket, in a folder that is removed afterwards. */
export async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'recon-'));
  try {
    await run(join(folder, 'socket'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
