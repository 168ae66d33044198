import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { AbortError, connect, type Connection, type Retry } from 'recon';
import * as assert from 'uvu/assert';
import { codeOf, next, quick, record, rejection } from './helpers.js';
import { eventually, Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('retry');

/** The waits that `retry` events tell of, until there are so many. */
async function delays(port: number, retry: object, count: number): Promise<number[]> {
  const waits: number[] = [];
  await using conn = await connect(port, { minUptime: 60_000, retry });
  conn.on('retry', ({ delay }) => waits.push(delay));
  await eventually(() => waits.length >= count);
  conn.destroy();
  return waits.slice(0, count);
}

test('a server that accepts and hangs up is not dialled in a tight loop: the waits grow', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.end() });
  const waits = await delays(peer.port, { minTimeout: 2, maxTimeout: 20, randomize: false }, 6);
  assert.equal(waits, [2, 4, 8, 16, 20, 20]);
  assert.ok(peer.links.length <= 8, `${peer.links.length} links`);
});

test('no wait is longer than maxTimeout, and clients spread also when they wait at the cap', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.end() });
  const capped = await Promise.all(
    Array.from({ length: 20 }, async () => (await delays(peer.port, { minTimeout: 60, maxTimeout: 60 }, 3)).at(-1)!),
  );
  assert.ok(capped.every((wait) => wait >= 30 && wait <= 60), String(capped));
  assert.ok(Math.max(...capped) - Math.min(...capped) > 10, String(capped));
});

test('the first redial after a link that lasted is immediate', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { minUptime: 0, retry: { minTimeout: 60_000 } });
  const told = record(conn);
  const up = next(conn, 'reconnect');
  (await peer.nextLink()).end();
  await up;
  assert.equal(told, ['connect', 'drop', 'reconnect']);
});

test('a link that lasted gives all retries back', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { minUptime: 0, retry: { retries: 0 } });
  for (let round = 0; round < 3; round++) {
    const up = next(conn, 'reconnect');
    (await peer.nextLink()).end();
    await up;
  }
  assert.is(conn.stats.links, 4);
});

test("p-retry's own hooks are asked, in its order, and shouldRetry says no", async () => {
  const port = await Peer.freePort();
  const asked: string[] = [];
  const code = await codeOf(
    connect(port, '127.0.0.1', {
      retry: {
        minTimeout: 1,
        onFailedAttempt: ({ attemptNumber }) => void asked.push(`failed ${attemptNumber}`),
        shouldRetry: ({ attemptNumber }) => {
          asked.push(`retry ${attemptNumber}?`);
          return attemptNumber < 2;
        },
      },
    }),
  );
  assert.is(code, 'ECONNREFUSED');
  assert.equal(asked, ['failed 1', 'retry 1?', 'failed 2', 'retry 2?']);
});

test('shouldRetry is not asked about what no retry can mend', async () => {
  for (const error of [Object.assign(new Error('expired'), { code: 'CERT_HAS_EXPIRED' }), new RangeError('a mistake')]) {
    let asked = 0;
    const dial = (): never => {
      throw error;
    };
    const retry = { retries: 1, minTimeout: 1, shouldRetry: () => (asked += 1) > 0 };
    assert.is(await rejection(connect({ dial, retry })), error);
    assert.is(asked, 0);
  }
});

test('maxRetryTime ends it, with the last error', async () => {
  const port = await Peer.freePort();
  const started = performance.now();
  assert.is(await codeOf(connect(port, '127.0.0.1', { retry: { minTimeout: 1, maxRetryTime: 50 } })), 'ECONNREFUSED');
  assert.ok(performance.now() - started < 5_000);
});

test('maxRetryTime adds up over the short links of one outage', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.end() });
  const retry = { minTimeout: 10, factor: 1, randomize: false, maxRetryTime: 100 };
  const conn = await connect(peer.port, { minUptime: 60_000, retry });
  assert.is(await codeOf(conn.closed), 'ERR_RECON_DROPPED');
});

test('an AbortError thrown in onLink, or a programming error, ends it at once with that error itself', async () => {
  await using peer = await Peer.start();
  const mistake = new Error('wrong token');
  const throws: [thrown: Error, expected: Error][] = [
    [new AbortError(mistake), mistake],
    ...[new TypeError('a'), new RangeError('b'), new ReferenceError('c')].map((error): [Error, Error] => [error, error]),
  ];
  for (const [thrown, expected] of throws) {
    const attempt = connect(peer.port, quick, () => {
      throw thrown;
    });
    assert.is(await rejection(attempt), expected);
  }
  assert.is(peer.links.length, throws.length);
});

test('who ends it right after a failed attempt is not told of another one', async () => {
  // A few microtasks later, p-retry has begun to wait, and that is told.
  for (let depth = 1; depth <= 3; depth++) {
    await using peer = await Peer.start();
    const onFailedAttempt = async (): Promise<void> => {
      const later = async (): Promise<void> => {
        for (let count = 0; count < depth; count++) await undefined;
        conn.destroy();
      };
      void later();
    };
    const conn: Connection = await connect(peer.port, '127.0.0.1', { minUptime: 0, retry: { minTimeout: 1_000, onFailedAttempt } });
    const told: number[] = [];
    conn.on('retry', ({ delay }) => told.push(delay));
    await peer.stop();
    await conn.closed;
    await turn();
    assert.equal(told, [], `after ${depth} microtasks`);
  }
});

test('what a hook throws ends it as an Error, be it none', async () => {
  const port = await Peer.freePort();
  for (const hook of ['onFailedAttempt', 'shouldRetry', 'shouldConsumeRetry']) {
    const error = await rejection(connect(port, '127.0.0.1', { retry: { [hook]: () => Promise.reject(null) } }));
    assert.instance(error, Error);
    assert.is(error.cause, null);
  }
});

test('an AbortError on a later link: closed and stats.lastError have the same error', async () => {
  await using peer = await Peer.start();
  const revoked = new Error('the token was revoked');
  const conn = await connect(peer.port, quick, (link) => {
    if (link.number > 1) throw new AbortError(revoked);
  });
  (await peer.nextLink()).reset();
  assert.is(await rejection(conn.closed), revoked);
  assert.is(conn.stats.lastError, revoked);
});

test('a programming error ends it at once also where shouldConsumeRetry forgives everything', async () => {
  for (const mistake of [new TypeError('a'), new RangeError('b'), new ReferenceError('c')]) {
    let dials = 0;
    const dial = (): never => {
      dials += 1;
      throw mistake;
    };
    assert.is(await rejection(connect({ dial, retry: { shouldConsumeRetry: () => dials > 3 } })), mistake);
    assert.is(dials, 1);
  }
});

test("the network's failure of a fetch() in dial is one more failed attempt, as p-retry has it, though it is a TypeError", async () => {
  const asked: string[] = [];
  const dial = (): never => {
    throw new TypeError('fetch failed');
  };
  const retry = { retries: 1, minTimeout: 1, onFailedAttempt: ({ error }: { error: Error }) => void asked.push(error.message) };
  assert.is((await rejection(connect({ dial, retry }))).message, 'fetch failed');
  assert.equal(asked, ['fetch failed', 'fetch failed']);
});

// The system's errors are of another realm than a module under Jest.
test('errors of another realm are the very errors that end it, and are judged as those of this one', async () => {
  await using peer = await Peer.start();
  const foreign = (code: string): Error => runInNewContext(code) as Error;
  const attempts = async (error: Error): Promise<number> => {
    let count = 0;
    const onLink = (): void => {
      count += 1;
      throw error;
    };
    const retry = { retries: 2, minTimeout: 1 };
    assert.is(await rejection(connect(peer.port, { retry, onLink })), error);
    return count;
  };
  assert.is(await attempts(foreign("Object.assign(new Error('not now'), { code: 'EAGAIN' })")), 3);
  assert.is(await attempts(foreign("new TypeError('no function')")), 1);
  assert.is(await attempts(foreign("new RangeError('no port')")), 1);
  assert.is(await attempts(foreign("new TypeError('fetch failed')")), 3, "the network's");
  const exception = { [Symbol.toStringTag]: 'DOMException', name: 'TimeoutError', message: 'took too long' };
  assert.is(await attempts(exception), 3);
  assert.is(await attempts(Object.assign(new Error('remote'), { name: 'RangeError' })), 3, 'of this realm, it goes by its class');
});

test('a link that is lost with an error of another realm is lost with that', async () => {
  const reset = runInNewContext("Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })") as Error;
  const dial = (): Duplex => {
    const stream = new Duplex({ read() {} });
    setImmediate(() => stream.destroy(reset));
    return stream;
  };
  const conn = await connect({ dial, retry: { retries: 0 } });
  assert.is(await rejection(conn.closed), reset);
});

test('any other error thrown in onLink is one more failed attempt, and uses up no number', async () => {
  await using peer = await Peer.start();
  const numbers: number[] = [];
  await using conn = await connect(peer.port, {
    ...quick,
    onLink: (link) => {
      numbers.push(link.number);
      if (numbers.length < 3) throw new Error('not yet');
    },
  });
  assert.equal(numbers, [1, 1, 1]);
  assert.is(conn.stats.links, 1);
  assert.is(conn.stats.attempts, 3);
});

test('reconnect() cuts a wait short', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { retry: { minTimeout: 60_000 } });
  const waiting = next<Retry>(conn, 'retry');
  (await peer.nextLink()).end();
  assert.ok((await waiting).delay >= 30_000);
  const link = await conn.reconnect();
  assert.is(link.number, 2);
  assert.is(conn.readyState, 'open');
});

test('reconnect() drops a link that is up, however young, and redials at once', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { retry: { minTimeout: 60_000 } });
  const told = record(conn);
  const old = await peer.nextLink();
  const [first, second] = [conn.reconnect(), conn.reconnect()];
  assert.is((await first).number, 2);
  assert.is((await second).number, 2);
  await old.closed;
  await conn.write('fresh');
  await peer.links.at(-1)!.until('fresh');
  assert.is(peer.links.length, 2);
  assert.equal(told, ['connect', 'drop', 'reconnect']);
});

test('reconnect() rejects when the connection ends before the next link', async () => {
  await using peer = await Peer.start();
  const conn = await connect(peer.port, quick);
  await peer.stop();
  await next(conn, 'drop');
  const redialled = conn.reconnect();
  conn.destroy();
  assert.is(await codeOf(redialled), 'ERR_RECON_CLOSED');
  assert.is(await codeOf(conn.reconnect()), 'ERR_RECON_CLOSED');
});

test('a wait of more than 2³¹ ms is clamped, not fired at once', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { retry: { minTimeout: 2 ** 40, maxTimeout: Infinity, randomize: false } });
  const waiting = next<Retry>(conn, 'retry');
  (await peer.nextLink()).end();
  assert.is((await waiting).delay, 2 ** 31 - 1);
  conn.destroy();
});

test('maxRetryTime does not count the time that a link was up', async () => {
  await using peer = await Peer.start();
  await using conn = await connect(peer.port, { minUptime: 60_000, retry: { minTimeout: 1, maxRetryTime: 60 } });
  const link = await peer.nextLink();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const up = next(conn, 'reconnect');
  link.end();
  await up;
  await peer.stop();
  assert.is((await rejection(conn.closed)).code, 'ECONNREFUSED');
});

test('the backoff goes on where it was when a link was lost young, and the hooks count the whole outage', async () => {
  await using peer = await Peer.start({ onLink: (link) => link.end() });
  const counts: number[][] = [];
  const retry = {
    minTimeout: 1,
    retries: 4,
    randomize: false,
    onFailedAttempt: (context: { attemptNumber: number; retriesConsumed: number; retriesLeft: number }) =>
      void counts.push([context.attemptNumber, context.retriesConsumed, context.retriesLeft]),
  };
  await using conn = await connect(peer.port, { minUptime: 60_000, retry });
  assert.is(await codeOf(conn.closed), 'ERR_RECON_DROPPED');
  assert.equal(counts, [[1, 0, 4], [2, 1, 3], [3, 2, 2], [4, 3, 1], [5, 4, 0]]);
});

test('attempts that fail at once, without a wait, still let the event loop turn', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('heard')), 20);
  const attempt = connect({
    signal: controller.signal,
    retry: { minTimeout: 0 },
    dial: () => {
      throw new Error('at once');
    },
  });
  assert.is((await rejection(attempt)).message, 'heard');
});

test('what is thrown but is no Error fails the attempt, as an Error with a cause', async () => {
  await using peer = await Peer.start();
  const attempt = connect(peer.port, { retry: { retries: 1, minTimeout: 1 } }, () => Promise.reject('nope'));
  const error = await rejection(attempt);
  assert.is(error.cause, 'nope');
  assert.is(peer.links.length, 2);
});

test("a hook that returns nothing means what it means to p-retry, and none is asked about what was aborted", async () => {
  const port = await Peer.freePort();
  assert.is(await codeOf(connect(port, '127.0.0.1', { retry: { shouldRetry: (() => {}) as never } })), 'ECONNREFUSED');
  await using peer = await Peer.start();
  const asked: string[] = [];
  let links = 0;
  await using conn = await connect(peer.port, {
    ...quick,
    retry: { onFailedAttempt: ({ error }) => void asked.push(error.message) },
    onLink: () => (links++ === 1 ? new Promise(() => {}) : undefined),
  });
  void conn.reconnect();
  await eventually(() => links === 2);
  await conn.reconnect();
  assert.equal(asked, []);
});

for (const hook of ['onFailedAttempt', 'shouldConsumeRetry', 'shouldRetry'] as const) {
  test(`an abort ends the hook ${hook} that never answers`, async () => {
    const port = await Peer.freePort();
    const controller = new AbortController();
    const enough = new Error('enough');
    const never = (): Promise<never> => {
      setImmediate(() => controller.abort(enough));
      return new Promise(() => {});
    };
    assert.is(await rejection(connect(port, '127.0.0.1', { signal: controller.signal, retry: { [hook]: never } })), enough);
  });
}

test.run();
