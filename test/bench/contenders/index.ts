import type { Contender } from '../contender.js';

interface Entry {
  /** Loaded when it is its turn, alone in its process. */
  load(): Promise<Contender>;
  /** The package that it needs. */
  readonly peer?: string;
  /** Where it does something else than the others, for want of a way to. */
  readonly notes?: { readonly write?: string };
}

/** Under the names that they have in the results. */
export const contenders: Readonly<Record<string, Entry>> = {
  'raw': { load: async () => (await import('./raw.js')).raw },
  'raw loop': { load: async () => (await import('./raw.js')).raw },
  'raw loop, noDelay': { load: async () => (await import('./raw.js')).noDelay },
  'raw for await': { load: async () => (await import('./raw.js')).raw },
  'raw callbacks': { load: async () => (await import('./raw.js')).callbacks },
  'raw, corked by hand': { load: async () => (await import('./raw.js')).corked },
  'readline': { load: async () => (await import('./raw.js')).readline },

  'ours': { load: async () => (await import('./ours.js')).ours },
  'ours, batches()': { load: async () => (await import('./ours.js')).batches },

  'recon@0.0.8': {
    peer: 'recon',
    load: async () => (await import('./peers.js')).ancestor(),
    notes: { write: 'its write() confirms nothing: no promises, a window is over when it may go on (`drain`)' },
  },
  'reconnect-core': { peer: 'reconnect-core', load: async () => (await import('./peers.js')).reconnectCore() },
  'reconnecting-socket': { peer: 'reconnecting-socket', load: async () => (await import('./peers.js')).reconnectingSocket() },
  'net-socket': { peer: 'net-socket', load: async () => (await import('./peers.js')).netSocket() },
  'promise-socket': {
    peer: 'promise-socket',
    load: async () => (await import('./peers.js')).promiseSocket(),
    notes: { write: 'its promise tells that the stream has room, not that the system took the message' },
  },
};

/** The names of those that are other people's packages. */
export const peers: readonly string[] = Object.keys(contenders).filter((name) => contenders[name]?.peer !== undefined);
