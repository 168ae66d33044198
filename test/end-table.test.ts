// Every state × every way of ending, and every pair of ways at once: nothing pending, nothing unhandled, no handle left.
import { createHook } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Link } from 'recon';
import * as assert from 'uvu/assert';
import { type Scene, type State, states } from './end-states.js';
import { isPending, next, readText, record } from './helpers.js';
import { Peer, type PeerLink } from './peer.js';
import { suite } from './suite.js';

const test = suite('end-table');

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

/** Timers and handles that there are, those too that are unref'd. */
const handles = new Map<number, string>();
createHook({
  init: (id, type) => void (/^Timeout$|^(TCP|TCPSERVER|TCPCONNECT|PIPE|GETADDRINFOREQ)WRAP$/.test(type) && handles.set(id, type)),
  destroy: (id) => void handles.delete(id),
}).enable();

const failure = new Error('the end');
/** What the last attempt may fail with. */
const LAST = ['ECONNREFUSED', 'ECONNRESET', 'ERR_RECON_DROPPED'];

/** A state that is about to be ended, and what was asked of the connection. */
interface Cell extends Scene {
  readonly peer: Peer;
  readonly aborter: AbortController;
  readonly writes: Promise<void>[];
  readonly ends: Promise<void>[];
  readonly reconnects: Promise<Link>[];
}

/** Node can't reset what has said goodbye: that is closed. */
function lose({ link, refuse }: Cell): void {
  if (link?.socket.writableEnded) link.socket.destroy();
  else link?.reset();
  refuse?.();
}

const ways = {
  'end()': ({ conn, ends }: Cell) => void ends.push(conn.end()),
  'destroy()': ({ conn }: Cell) => void conn.destroy(),
  'destroy(error)': ({ conn }: Cell) => void conn.destroy(failure),
  abort: ({ aborter }: Cell) => aborter.abort(failure),
  'reconnect()': ({ conn, reconnects }: Cell) => void reconnects.push(conn.reconnect()),
  FIN: ({ link }: Cell) => link!.end(),
  RST: (cell: Cell) => lose(cell),
  'retries used up': (cell: Cell) => {
    lose(cell);
    void cell.peer.stop();
  },
} as const;

type Way = keyof typeof ways;
const WAYS = Object.keys(ways) as Way[];

/** How it must come out: `alive` is not ended at all, `flushed` is a clean end once what waits has gone out. */
type Outcome = 'alive' | 'flushed' | 'clean' | 'failed' | 'given up';

const goesOut = (outcome: Outcome): boolean => outcome === 'alive' || outcome === 'flushed';
const isCut = (way: Way): boolean => way === 'destroy()' || way === 'destroy(error)' || way === 'abort';

/** Our own doing comes before the peer's, which has to come over the network first. */
function outcomeOf({ isEnding, writes }: State, chosen: readonly Way[]): Outcome {
  const cut = chosen.find(isCut);
  if (cut) return cut === 'destroy()' ? 'clean' : 'failed';
  const ends = isEnding || chosen.includes('end()');
  if (ends && writes.length === 0) return 'clean';
  if (chosen.includes('retries used up')) return 'given up';
  return ends ? 'flushed' : 'alive';
}

/** Whether a peer can do that to a connection in this state. */
function isPossible({ faces }: State, way: Way): boolean {
  if (way === 'FIN') return faces === 'a link';
  return way !== 'RST' || faces !== 'nothing';
}

/** What a promise was rejected with, if it was. */
const fate = (promise: Promise<unknown>): Promise<any> => promise.then(() => undefined, (error: unknown) => error);

/** On a busy machine, a wait may be over before anything could be done in it. */
class TooLate extends Error {}

/** Looks at a cell, again and again if it must. */
async function check(state: State, chosen: readonly Way[]): Promise<void> {
  for (;;) {
    try {
      return await checkOnce(state, chosen);
    } catch (error) {
      if (!(error instanceof TooLate)) throw error;
    }
  }
}

/** Brings a connection into the state, ends it, and looks at what has become of everything. */
async function checkOnce(state: State, chosen: readonly Way[]): Promise<void> {
  const before = new Set(handles.keys());
  {
    await using peer = await Peer.start({ halfOpen: state.halfOpen ?? false });
    const aborter = new AbortController();
    const retries = chosen.includes('retries used up') ? state.retries : Infinity;
    const retry = { minTimeout: 1, randomize: false, retries };
    const scene = await state.reach(peer, { signal: aborter.signal, minUptime: 0, retry });
    await checkScene(state, chosen, { ...scene, peer, aborter, writes: [], ends: [], reconnects: [] });
    assert.is(getEventListeners(aborter.signal, 'abort').length, 0);
    // A dial that comes too late is no more than something to be put away.
    scene.relieve?.();
  }
  await checkGone(before);
}

async function checkScene(state: State, chosen: readonly Way[], cell: Cell): Promise<void> {
  const { conn, peer, writes, ends, reconnects, relieve } = cell;
  const told = record(conn);
  const over = new Promise<void>((resolve) => conn.once('close', resolve));
  const reading = fate(readText(conn, () => false));
  const sent = [...state.writes];
  for (const data of sent) writes.push(conn.write(data));
  if (state.isEnding) ends.push(conn.end());
  assert.ok(await isPending(over));

  if (state.faces === 'nothing' && conn.stats.attempts > 1) {
    conn.destroy();
    await over;
    throw new TooLate();
  }
  for (const way of chosen) ways[way](cell);
  const outcome = outcomeOf(state, chosen);
  if (outcome === 'alive') {
    await next(conn, state.wasUp ? 'reconnect' : 'connect');
    void conn.end('alive');
    sent.push('alive');
  } else if (outcome === 'flushed' && reconnects.length === 0) {
    await isPending(over);
    relieve?.();
  }

  await over;
  await turn();
  assert.equal(unhandled.splice(0), [], 'nobody has looked at a rejection so far');
  const error = await fate(conn.closed);
  if (outcome === 'given up') assert.ok(LAST.includes(error.code), error);
  else assert.is(error, outcome === 'failed' ? failure : undefined);
  assert.is(await reading, error);
  await checkPromises(state, chosen, cell, outcome, error);
  assert.equal(told.filter((name) => name === 'error' || name === 'close'), error ? ['error', 'close'] : ['close']);
  assert.is(told.at(-1), 'close');
  assert.is(conn.readyState, 'closed');
  assert.is(conn.bufferedAmount, 0);
  if (goesOut(outcome)) await checkArrived(peer.links.at(-1)!, Buffer.concat(sent.map((data) => Buffer.from(data))));
}

/** Each promise has come to what the first thing that decided has made of it. */
async function checkPromises(state: State, chosen: readonly Way[], cell: Cell, outcome: Outcome, error: unknown): Promise<void> {
  const connected = await fate(cell.connected);
  if (state.wasUp || goesOut(outcome)) assert.is(connected, undefined);
  else if (error) assert.is(connected, error);
  else assert.is(connected.code, 'ERR_RECON_CLOSED');

  for (const write of [...cell.writes, cell.conn.write('too late')]) {
    const refusal = await fate(write);
    assert.is(refusal?.code, goesOut(outcome) && cell.writes.includes(write) ? undefined : 'ERR_RECON_CLOSED');
    assert.is(refusal?.cause, error);
  }

  // An end() that came after the end has nothing to do.
  const wasEnding = state.isEnding || !chosen.slice(0, chosen.indexOf('end()')).some(isCut);
  for (const end of cell.ends) {
    const refusal = await fate(end);
    if (wasEnding && error) assert.is(refusal, error);
    else assert.is(refusal?.code, wasEnding && !goesOut(outcome) && cell.writes.length > 0 ? 'ERR_RECON_CLOSED' : undefined);
  }

  for (const reconnect of cell.reconnects) {
    if (goesOut(outcome)) assert.is((await reconnect).number, cell.conn.stats.links);
    else assert.is((await fate(reconnect)).code, 'ERR_RECON_CLOSED');
  }
}

async function checkArrived(link: PeerLink, sent: Buffer): Promise<void> {
  await link.untilLength(sent.length);
  assert.ok(link.received.equals(sent), 'all went out on the last link, whole and in order');
}

/** Waits, but not for long, until the system has put away what came since. */
async function checkGone(before: ReadonlySet<number>): Promise<void> {
  const left = (): string[] => [...handles].flatMap(([id, type]) => (before.has(id) ? [] : [type]));
  for (const deadline = performance.now() + 2_000; left().length > 0 && performance.now() < deadline; ) await turn();
  assert.equal(left(), []);
}

/** When so many are red, the others would only take their time. */
const ENOUGH = 5;
let red = 0;

function addCell(state: State, ...chosen: Way[]): void {
  if (!chosen.every((way) => isPossible(state, way))) return;
  const title = `${state.name} × ${chosen.join(' and at once ')}`;
  test(title, async () => {
    assert.ok(red < ENOUGH, `not tried: ${ENOUGH} others are red`);
    red += 1;
    await check(state, chosen);
    red -= 1;
  });
}

for (const state of states) {
  for (const way of WAYS) {
    addCell(state, way);
    for (const other of WAYS) addCell(state, way, other);
  }
}

test.run();
