import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import pRetry, { type Options } from 'p-retry';
import { connect } from 'recon';

/** Brings a link to the server, or throws. */
export type Dial = () => Duplex;

/** A way to come back to a server that was lost. Whichever it is, the first redial is immediate. */
export interface Contender {
  readonly name: string;
  readonly start: (dial: Dial) => Promise<unknown>;
}

/** Dials again whenever the link is lost, as one does who has p-retry and nothing else. */
const underPRetry =
  (options: Options) =>
  async (dial: Dial): Promise<never> => {
    for (;;) {
      const link = await pRetry(dial, { retries: Infinity, ...options });
      await once(link, 'close');
    }
  };

/** Dials again whenever the link is lost, and every second from then on. */
const everySecond = async (dial: Dial): Promise<void> => {
  const redial = (): void => {
    try {
      dial().once('close', redial);
    } catch {
      setTimeout(redial, 1_000);
    }
  };
  redial();
};

/** The range of our own defaults, so that p-retry is compared and not the numbers it is given. */
const range = { minTimeout: 100, maxTimeout: 30_000 };

export const recon: Contender = { name: 'recon', start: (dial) => connect({ dial }) };

export const contenders: readonly Contender[] = [
  recon,
  { name: 'p-retry', start: underPRetry(range) },
  { name: 'p-retry, randomize', start: underPRetry({ ...range, randomize: true }) },
  { name: 'every second', start: everySecond },
];
