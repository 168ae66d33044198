import { connect, lines } from 'recon';
import * as assert from 'uvu/assert';
import { Peer, type PeerLink } from './peer.js';
import { between } from './random.js';
import { suite } from './suite.js';

const test = suite('cuts');

const LINES = 20_000;
const CUTS = 150;

/** What passed over one link, as the server saw it. */
interface Passed {
  readonly cut: 'FIN' | 'RST' | undefined;
  readonly received: number[];
  readonly sent: number[];
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The numbers of whole lines, and whatever is behind the last line break. */
function parse(text: string): { numbers: number[]; torn: string } {
  const parts = text.split('\n');
  const torn = parts.pop() ?? '';
  return { numbers: parts.map((part) => Number(/^line (\d+) x*$/.exec(part)?.[1] ?? NaN)), torn };
}

/**
 * Twenty thousand lines each way, and a server that hangs up again and again. Every line is numbered, and the ledger
 * of each link says what has become of it.
 */
async function run(unflushed: 'resend' | 'reject', hangUp: 'FIN' | 'RST'): Promise<void> {
  const ledger: Passed[] = [];
  const line = (n: number): string => `line ${n} ${'x'.repeat(between(0, 60))}`;
  let sending = 0;

  const serve = async (link: PeerLink): Promise<void> => {
    const cut = ledger.length < CUTS ? hangUp : undefined;
    const enough = between(0, (2 * LINES) / CUTS);
    const passed = { cut, received: [] as number[], sent: [] as number[] };
    ledger.push(passed);
    const over = link.closed.then(() => true);
    // What is reset in the very turn in which it was accepted never connects.
    await turn();
    await turn();
    while (passed.sent.length < enough || cut === undefined) {
      if (sending === LINES) break;
      const burst = Array.from({ length: Math.min(between(1, 40), LINES - sending) }, () => sending++);
      passed.sent.push(...burst);
      const flushed = link.send(burst.map((n) => `${line(n)}\n`).join('')).then(() => false, () => true);
      if (await Promise.race([flushed, over])) break;
      await turn();
    }
    if (cut === 'FIN') link.end();
    if (cut === 'RST') link.reset();
    await over;
    passed.received.push(...parse(link.text).numbers);
  };

  const served: Promise<void>[] = [];
  await using peer = await Peer.start({ halfOpen: true, onLink: (link) => void served.push(serve(link)) });
  const conn = await connect(peer.port, '127.0.0.1', { minUptime: 0, retry: { minTimeout: 1, maxTimeout: 5 }, codec: lines(), unflushed });
  const up: number[][] = [];
  const reading = (async () => {
    for await (const link of conn.links()) {
      const numbers: number[] = [];
      for await (const text of link) numbers.push(...parse(`${text}\n`).numbers);
      up.push(numbers);
    }
  })();

  const rejections = new Set<number>();
  const writes: Promise<void>[] = [];
  for (let n = 0; n < LINES; n++) {
    const number = n;
    const write = conn.write(line(n)).catch((error: { code: string }) => {
      assert.is(error.code, 'ERR_RECON_UNFLUSHED');
      rejections.add(number);
    });
    writes.push(write);
    if (between(1, 20) === 1) await write;
  }
  await Promise.all(writes);
  while (ledger.length <= CUTS || sending < LINES) await turn();
  const ended = conn.end();
  await peer.links.at(-1)!.ended;
  peer.links.at(-1)!.end();
  await ended;
  await reading;
  await Promise.all(served);

  // To the server: whole lines in order; a line twice only where it was sent again on a new link.
  const arrived = new Set<number>();
  let expected = 0;
  for (const [index, { received }] of ledger.entries()) {
    const before = ledger[index - 1];
    const [first = expected] = received;
    if (first < expected) assert.is(unflushed, 'resend', `line ${first} came again on link ${index + 1}`);
    for (let missing = expected; missing < first; missing++) {
      assert.ok(rejections.has(missing) || before?.cut === 'RST', `line ${missing} vanished before link ${index + 1}`);
    }
    let previous = first - 1;
    for (const n of received) {
      for (let missing = previous + 1; missing < n; missing++) assert.ok(rejections.has(missing), `line ${missing} vanished in link ${index + 1}`);
      assert.ok(n > previous, `line ${n} after line ${previous} on link ${index + 1}`);
      previous = n;
      arrived.add(n);
    }
    expected = Math.max(expected, previous + 1);
  }
  if (hangUp === 'FIN') {
    for (let n = 0; n < LINES; n++) assert.ok(arrived.has(n) || rejections.has(n), `line ${n} vanished`);
  }

  // From the server: what a link sent, in order, and of a link that it ended politely all of it.
  assert.is(up.length, ledger.length);
  for (const [index, numbers] of up.entries()) {
    const { sent, cut } = ledger[index]!;
    assert.equal(numbers, sent.slice(0, numbers.length));
    if (cut !== 'RST') assert.is(numbers.length, sent.length, `link ${index + 1} sent ${sent.length} lines`);
  }
}

for (const unflushed of ['resend', 'reject'] as const) {
  for (const hangUp of ['FIN', 'RST'] as const) {
    test(`${LINES} lines each way over ${CUTS} cuts by ${hangUp}, unflushed: '${unflushed}'`, () => run(unflushed, hangUp), 40_000);
  }
}

test.run();
