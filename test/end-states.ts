import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import net from 'node:net';
import { type Connection, connect, type ConnectOptions } from 'recon';
import { deferred } from '../src/promises.js';
import { next } from './helpers.js';
import type { Peer, PeerLink } from './peer.js';

/** A connection that was brought into some state, and what can be done about that from outside. */
export interface Scene {
  /** What `connect()` promised, and the connection, which can be had before. */
  readonly connected: Promise<Connection>;
  readonly conn: Connection;
  /** The far end of its link. */
  readonly link?: PeerLink;
  /** What hangs (a dial, an `onLink`, a peer that doesn't read) goes on. */
  readonly relieve?: () => void;
  /** The dial that hangs fails. */
  readonly refuse?: () => void;
}

/** What is under way. */
interface Place {
  readonly name: string;
  readonly wasUp: boolean;
  /** Retries that are used up: with no more of them, the next failure is the last. */
  readonly retries: number;
  /** What the peer can break. */
  readonly faces: 'a dial' | 'a link' | 'nothing';
  /** The peer leaves a goodbye unanswered. */
  readonly halfOpen?: boolean;
  readonly reach: (peer: Peer, options: ConnectOptions) => Promise<Scene>;
}

export interface State extends Place {
  readonly writes: readonly (string | Uint8Array)[];
  readonly isEnding: boolean;
}

/** More than the system takes for a peer that doesn't read, and than is written in a turn of the event loop. */
const MUCH = new Uint8Array(8 * 1024 * 1024);
/** Milliseconds of a wait that is long enough to be ended in, and short enough to be sat out. */
const WAIT = 60;

/** The connection before it is up, of which its first attempt tells by failing. */
async function unborn(connecting: () => Promise<Connection>): Promise<Scene> {
  const told = deferred<Connection>();
  const onRetry = (message: unknown): void => told.resolve((message as { connection: Connection }).connection);
  subscribe('recon:retry', onRetry);
  const connected = connecting();
  connected.catch(() => {});
  const conn = await told.promise;
  unsubscribe('recon:retry', onRetry);
  return { connected, conn };
}

/** The connection once it is up. */
async function born(connecting: () => Promise<Connection>): Promise<Scene> {
  const connected = connecting();
  return { connected, conn: await connected };
}

/** Does the one, hangs the second time, and does the other from then on. */
function hangingSecond<T>(once: () => T, later: () => T) {
  const hanging = deferred<T>();
  const reached = deferred();
  let count = 0;
  const run = (): T | Promise<T> => {
    count += 1;
    if (count !== 2) return count === 1 ? once() : later();
    reached.resolve();
    return hanging.promise;
  };
  return { run, hanging, reached: reached.promise };
}

const refusal = (): Error => Object.assign(new Error('nobody is there'), { code: 'ECONNREFUSED' });
const refused = (): never => {
  throw refusal();
};
const toPeer = (peer: Peer) => (): net.Socket => net.connect(peer.port, '127.0.0.1');

async function atDial(peer: Peer, begin: (dial: () => net.Socket | Promise<net.Socket>) => Promise<Scene>, once: () => net.Socket) {
  const { run, hanging, reached } = hangingSecond(once, toPeer(peer));
  const scene = await begin(run);
  if (once !== refused) (await peer.nextLink()).end();
  await reached;
  let isOpen = true;
  const settle = (how: () => void) => (): void => {
    if (isOpen) how();
    isOpen = false;
  };
  return {
    ...scene,
    relieve: settle(() => hanging.resolve(toPeer(peer)())),
    refuse: settle(() => hanging.reject(refusal())),
  };
}

async function inOnLink(peer: Peer, begin: (onLink: () => unknown) => Promise<Scene>, once: () => void): Promise<Scene> {
  const { run, hanging, reached } = hangingSecond(once, () => {});
  const scene = await begin(run);
  (await peer.nextLink()).end();
  await reached;
  return { ...scene, link: await peer.nextLink(), relieve: hanging.resolve };
}

const down: readonly Place[] = [
  {
    name: 'dialling for the first link',
    wasUp: false,
    retries: 1,
    faces: 'a dial',
    reach: (peer, options) => atDial(peer, (dial) => unborn(() => connect({ ...options, dial })), refused),
  },
  {
    name: 'dialling again',
    wasUp: true,
    retries: 0,
    faces: 'a dial',
    reach: (peer, options) => atDial(peer, (dial) => born(() => connect({ ...options, dial })), toPeer(peer)),
  },
  {
    name: 'in onLink of the first link',
    wasUp: false,
    retries: 1,
    faces: 'a link',
    reach: (peer, options) => inOnLink(peer, (onLink) => unborn(() => connect(peer.port, { ...options, onLink })), refused),
  },
  {
    name: 'in onLink of a later link',
    wasUp: true,
    retries: 0,
    faces: 'a link',
    reach: (peer, options) => inOnLink(peer, (onLink) => born(() => connect(peer.port, { ...options, onLink })), () => {}),
  },
  {
    name: 'waiting to retry for the first link',
    wasUp: false,
    retries: 1,
    faces: 'nothing',
    reach(peer, options) {
      let count = 0;
      const dial = (): net.Socket => (count++ === 0 ? refused() : toPeer(peer)());
      return unborn(() => connect({ ...options, retry: { ...options.retry, minTimeout: WAIT }, dial }));
    },
  },
  {
    name: 'waiting to retry',
    wasUp: true,
    retries: 1,
    faces: 'nothing',
    async reach(peer, options) {
      const retry = { ...options.retry, minTimeout: WAIT };
      const scene = await born(() => connect(peer.port, { ...options, retry, minUptime: 60_000 }));
      (await peer.nextLink()).end();
      await next(scene.conn, 'retry');
      return scene;
    },
  },
];

const up: Place = {
  name: 'up',
  wasUp: true,
  retries: 0,
  faces: 'a link',
  async reach(peer, options) {
    const scene = await born(() => connect(options.dial ? options : { port: peer.port, ...options }));
    return { ...scene, link: await peer.nextLink() };
  },
};

/** Over a socket that is destroyed some time before it is closed. */
const lingering: Place = {
  ...up,
  name: 'up, over a socket that takes its time to close',
  reach(peer, options) {
    const dial = (): net.Socket => {
      const socket = toPeer(peer)();
      const destroy = socket._destroy.bind(socket);
      socket._destroy = (error, callback) => void setTimeout(() => destroy(error, callback), 2);
      return socket;
    };
    return up.reach(peer, { ...options, dial });
  },
};

const stuck: Place = {
  ...up,
  name: 'up with a peer that does not read',
  async reach(peer, options) {
    const scene = await up.reach(peer, { ...options, maxBufferedAmount: Infinity });
    scene.link!.pause();
    return { ...scene, relieve: () => scene.link!.resume() };
  },
};

/** Everything that it has a timer for is on. */
const busy: Place = {
  ...up,
  name: 'up and writing, with timeouts and a heartbeat',
  reach(peer, options) {
    const timeouts = { writeTimeout: 60_000, idleTimeout: 60_000, heartbeat: { interval: 60_000, message: '?' } };
    return up.reach(peer, { ...options, ...timeouts, maxBufferedAmount: Infinity });
  },
};

const parting: Place = {
  ...up,
  name: 'after the goodbye',
  halfOpen: true,
  async reach(peer, options) {
    const scene = await up.reach(peer, { ...options, closeTimeout: WAIT });
    void scene.conn.end();
    await scene.link!.ended;
    return scene;
  },
};

const backlog = ['one', 'two'];
const much = [MUCH, 'and more'];

export const states: readonly State[] = [
  ...down.map((place) => ({ ...place, writes: [], isEnding: false })),
  ...down.map((place) => ({ ...place, name: `${place.name}, with a backlog`, writes: backlog, isEnding: false })),
  ...down.map((place) => ({ ...place, name: `${place.name}, ending with a backlog`, writes: backlog, isEnding: true })),
  { ...up, name: 'up and idle', writes: [], isEnding: false },
  { ...lingering, writes: [], isEnding: false },
  { ...stuck, writes: much, isEnding: false },
  { ...stuck, name: `${stuck.name}, ending with a backlog`, writes: much, isEnding: true },
  { ...busy, writes: much, isEnding: false },
  { ...parting, writes: [], isEnding: true },
];
