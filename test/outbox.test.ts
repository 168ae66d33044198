import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { ReconError } from '../src/errors.js';
import { Outbox, type OutboxOptions, type Part, type Sink } from '../src/outbox.js';
import { isPending, rejection } from './helpers.js';
import { held, used } from './memory.js';
import * as random from './random.js';
import { suite } from './suite.js';

const test = suite('outbox');
const KiB = 1024;

/** Bytes that are as long as they were said to be. */
function checked(bytes: Buffer, length: number): Buffer {
  assert.is(bytes.length, length);
  return bytes;
}

/** A link that takes what it is sent when it is told to. */
class FakeSink implements Sink {
  open = true;
  /** All that was handed over, one piece each time. */
  readonly sent: Buffer[] = [];
  /** The lengths of the parts that are not taken yet, of each piece. */
  readonly #pieces: { parts: number[]; taken: (bytes: number) => void }[] = [];

  send(parts: readonly Part[], taken: (bytes: number) => void): boolean {
    assert.ok(this.open, 'a link that is lost is sent nothing');
    if (parts.length > 0) this.sent.push(Buffer.concat(parts.map(({ data, length }) => checked(Buffer.from(data as string), length))));
    this.#pieces.push({ parts: parts.map((part) => part.length), taken });
    return false;
  }

  get texts(): string[] {
    return this.sent.map(String);
  }

  /** Pieces handed over and not taken yet. */
  get unconfirmed(): number {
    return this.#pieces.length;
  }

  /** Takes one part, or some bytes of it; of the oldest piece. A piece of empty writes has no parts. */
  takePart(bytes?: number): void {
    const { parts, taken } = this.#pieces[0]!;
    const length = bytes ?? parts[0] ?? 0;
    parts[0]! -= length;
    if (!(parts[0]! > 0)) parts.shift();
    if (parts.length === 0) this.#pieces.shift();
    taken(length);
  }

  /** Takes the oldest piece. */
  take(): void {
    for (let left = Math.max(1, this.#pieces[0]!.parts.length); left > 0; left--) this.takePart();
  }

  takeAll(): void {
    while (this.unconfirmed > 0) this.take();
  }
}

/** A link that takes everything at once. */
class EagerSink extends FakeSink {
  override send(parts: readonly Part[], taken: (bytes: number) => void): boolean {
    super.send(parts, taken);
    this.take();
    return true;
  }
}

/** A link that has taken everything when it says that it hasn't. */
class ModestSink extends EagerSink {
  override send(parts: readonly Part[], taken: (bytes: number) => void): boolean {
    super.send(parts, taken);
    return false;
  }
}

/** A link that has everything taken at once, as it seems, and learns of it late. */
class HopefulSink extends FakeSink {
  override send(parts: readonly Part[], taken: (bytes: number) => void): boolean {
    super.send(parts, taken);
    return true;
  }
}

interface Setup {
  readonly outbox: Outbox;
  readonly drains: () => number;
}

function setup(options: Partial<OutboxOptions> = {}, onDrain = () => {}): Setup {
  let drains = 0;
  const outbox = new Outbox({ maxBufferedAmount: Infinity, unflushed: 'resend', ...options }, () => {
    drains += 1;
    onDrain();
  });
  return { outbox, drains: () => drains };
}

/** Attaches a link. */
function attached<S extends FakeSink>(outbox: Outbox, sink: S): S {
  outbox.attach(sink);
  return sink;
}

/** Loses a link as a connection does: first it is down, then the outbox is told. */
function lose(outbox: Outbox, sink: FakeSink, reason?: unknown): void {
  sink.open = false;
  outbox.detach(reason);
}

const isFull = (error: unknown): boolean => error instanceof ReconError && error.code === 'ERR_RECON_BUFFER_FULL';
const isClosed = (error: unknown): boolean => error instanceof ReconError && error.code === 'ERR_RECON_CLOSED';

test('writes wait while there is no link, and go out in order once there is', async () => {
  const { outbox } = setup();
  const writes = ['a', Buffer.from('b'), 'é'.repeat(5_000), new Uint8Array([100]), 'e'].map((chunk) => outbox.push(chunk));
  for (const write of writes) assert.ok(await isPending(write));
  const sink = attached(outbox, new FakeSink());
  assert.is(Buffer.concat(sink.sent).toString(), `ab${'é'.repeat(5_000)}de`);
  for (const write of writes) assert.ok(await isPending(write), 'handed over is not taken');
  sink.takeAll();
  await Promise.all(writes);
});

test('the writes of one turn go out as one piece', async () => {
  const { outbox } = setup();
  const sink = attached(outbox, new FakeSink());
  const writes = ['a', 'b', 'c'.repeat(10_000), 'd'].map((chunk) => outbox.push(chunk));
  assert.equal(sink.sent, []);
  await turn();
  assert.equal(sink.texts, [`ab${'c'.repeat(10_000)}d`]);
  sink.take();
  await Promise.all(writes);
});

test('what is written while the link is busy waits its turn, and goes out as one piece', async () => {
  const { outbox } = setup();
  const sink = attached(outbox, new FakeSink());
  for (const chunk of ['a', 'b', 'c']) {
    void outbox.push(chunk);
    await turn();
  }
  assert.equal(sink.texts, ['a']);
  sink.take();
  assert.equal(sink.texts, ['a', 'bc']);
});

test('a write settles when what it was sent with is taken, and not before', async () => {
  const { outbox } = setup();
  const sink = attached(outbox, new FakeSink());
  const first = outbox.push('first');
  await turn();
  const second = outbox.push('second');
  sink.take();
  await first;
  assert.ok(await isPending(second));
  sink.take();
  await second;
});

test('of what goes out as one piece, each part settles as it is taken whole', async () => {
  const { outbox } = setup();
  const lost = attached(outbox, new FakeSink());
  const [first, second, third] = ['a', 'b', 'c'].map((letter) => outbox.push(letter.repeat(5_000)));
  await turn();
  lost.takePart(4_999);
  assert.ok(await isPending(first!));
  assert.is(outbox.size, 15_000);
  lost.takePart(1);
  await first;
  assert.ok(await isPending(second!));
  assert.is(outbox.size, 10_000);
  lose(outbox, lost);
  assert.equal(attached(outbox, new EagerSink()).texts, [`${'b'.repeat(5_000)}${'c'.repeat(5_000)}`]);
  await Promise.all([second, third]);
});

test('writes are settled up to the position that is told, whoever tells it', async () => {
  const { outbox } = setup();
  const [first, second, third] = ['ab', 'cde', 'f'].map((chunk) => outbox.push(chunk, new AbortController().signal));
  attached(outbox, new FakeSink());
  outbox.confirm(4);
  await first;
  assert.ok(await isPending(second!));
  assert.is(outbox.size, 4);
  outbox.confirm(5);
  await second;
  assert.ok(await isPending(third!));
  assert.is(outbox.size, 1);
  outbox.detach();
  attached(outbox, new FakeSink());
  outbox.confirm(1);
  await third;
});

test('a large backlog goes out piece by piece, so that little is in doubt at a drop', async () => {
  const { outbox } = setup({ unflushed: 'reject' });
  const writes = random.list(100, () => outbox.push(Buffer.alloc(40 * KiB)));
  const sink = attached(outbox, new FakeSink());
  lose(outbox, sink);
  const rejected = await Promise.all(writes.map(async (write) => !(await isPending(write))));
  assert.ok(rejected[0]);
  assert.ok(rejected.filter(Boolean).length <= 26, 'what had not begun simply waits');
  assert.is(rejected.lastIndexOf(true), rejected.filter(Boolean).length - 1, 'from the first on');
  assert.is(outbox.size, rejected.filter((gone) => !gone).length * 40 * KiB);
});

test("a drop, with 'resend': what was not confirmed goes out again, whole and first", async () => {
  const { outbox } = setup();
  const first = attached(outbox, new FakeSink());
  const a = outbox.push('a');
  await turn();
  const others = ['b'.repeat(5_000), 'c', 'd'].map((chunk) => outbox.push(chunk));
  first.take();
  await a;
  lose(outbox, first);
  const e = outbox.push('e');
  const second = attached(outbox, new FakeSink());
  assert.is(Buffer.concat(second.sent).toString(), `${'b'.repeat(5_000)}cde`);
  lose(outbox, second);
  const third = attached(outbox, new FakeSink());
  assert.is(Buffer.concat(third.sent).toString(), `${'b'.repeat(5_000)}cde`);
  third.takeAll();
  await Promise.all([...others, e]);
  assert.is(outbox.size, 0);
});

test("a drop, with 'reject': what was not confirmed is refused with the reason, and what had not begun waits", async () => {
  const reason = new Error('reset');
  const { outbox } = setup({ unflushed: 'reject' });
  const first = attached(outbox, new FakeSink());
  const begun = outbox.push('begun');
  await turn();
  const waits = outbox.push('waits');
  lose(outbox, first, reason);
  const error = await rejection(begun);
  assert.is(error.code, 'ERR_RECON_UNFLUSHED');
  assert.is(error.cause, reason);
  assert.ok(await isPending(waits));
  assert.is(outbox.size, 5);
  assert.equal(attached(outbox, new FakeSink()).texts, ['waits']);
});

test('what a lost link takes late means nothing, to the next link neither', async () => {
  for (const replaced of [false, true]) {
    const { outbox } = setup();
    const lost = attached(outbox, new FakeSink());
    const write = outbox.push('a');
    await turn();
    lose(outbox, lost);
    if (replaced) attached(outbox, new FakeSink());
    lost.take();
    assert.ok(await isPending(write));
    assert.is(outbox.size, 1);
  }
});

test('a link that is down already is sent nothing, before it is detached too', async () => {
  const { outbox } = setup();
  const sink = attached(outbox, new FakeSink());
  const write = outbox.push('a');
  sink.open = false;
  await turn();
  void outbox.push('b');
  await turn();
  assert.equal(sink.sent, []);
  outbox.detach();
  assert.equal(attached(outbox, new EagerSink()).texts, ['ab']);
  await write;
});

test('one piece is under way at a time, also when a link is replaced within a turn', async () => {
  const { outbox } = setup();
  const lost = attached(outbox, new FakeSink());
  void outbox.push('a');
  lose(outbox, lost);
  const sink = attached(outbox, new FakeSink());
  void outbox.push('b');
  await turn();
  assert.equal(sink.texts, ['a']);
  sink.take();
  assert.equal(sink.texts, ['a', 'b']);
});

test('size is right after each write, and counts what waits and what is unconfirmed', async () => {
  const { outbox } = setup();
  const chunks = ['a', 'é€😀', '\ud800', '', Buffer.alloc(4 * KiB), 'x'.repeat(4 * KiB + 1), new Uint8Array(70_000), 'z'];
  let size = 0;
  for (const chunk of chunks) {
    void outbox.push(chunk);
    size += Buffer.byteLength(chunk);
    assert.is(outbox.size, size);
  }
  const sink = attached(outbox, new FakeSink());
  assert.is(outbox.size, size);
  sink.takeAll();
  assert.is(outbox.size, 0);
  void outbox.push('again');
  assert.is(outbox.size, 5);
  assert.is(Buffer.concat(sink.sent).length, size);
});

test('maxBufferedAmount: as much passes, one byte more is refused and nothing of it is sent', async () => {
  const { outbox } = setup({ maxBufferedAmount: 10 });
  const writes = [outbox.push('1234567'), outbox.push('89')];
  assert.throws(() => outbox.push('ab'), isFull);
  assert.throws(() => outbox.push('é'), isFull);
  writes.push(outbox.push('0'), outbox.push(''));
  assert.throws(() => outbox.push('a'), isFull);
  assert.throws(() => outbox.push(Buffer.alloc(1)), isFull);
  assert.is(outbox.size, 10);

  const sink = attached(outbox, new FakeSink());
  assert.throws(() => outbox.push('a'), isFull, 'what is unconfirmed counts');
  sink.takeAll();
  await Promise.all(writes);
  assert.equal(sink.texts, ['1234567890']);
  assert.throws(() => outbox.push('12345678901'), isFull);
  void outbox.push('0987654321');
  assert.is(outbox.size, 10);
});

test('a refusal for want of room tells how much waits now, not how much did at the one before', () => {
  const { outbox } = setup({ maxBufferedAmount: 10 });
  for (const [chunk, waiting] of [['12345', '5 bytes'], ['67', '7 bytes']] as const) {
    void outbox.push(chunk);
    assert.throws(() => outbox.push('too long'), (error: any) => isFull(error) && error.message.includes(waiting));
  }
});

test('a bound of 0 lets empty writes pass alone', async () => {
  const { outbox } = setup({ maxBufferedAmount: 0 });
  attached(outbox, new EagerSink());
  assert.throws(() => outbox.push('a'), isFull);
  await outbox.push('');
});

test('a signal takes back what has not begun', async () => {
  const { outbox } = setup();
  const aborter = new AbortController();
  const reason = new Error('changed my mind');
  const kept = [outbox.push('a'), outbox.push('d'), outbox.push('f', new AbortController().signal)];
  const taken = [outbox.push('b', aborter.signal), outbox.push('c', aborter.signal), outbox.push('e'.repeat(5_000), aborter.signal)];
  aborter.abort(reason);
  for (const write of taken) assert.is(await rejection(write), reason);
  assert.is(outbox.size, 3);
  assert.throws(() => outbox.push('g', aborter.signal), (error: unknown) => error === reason);
  kept.push(outbox.push('h'));
  assert.equal(attached(outbox, new EagerSink()).texts, ['adfh']);
  await Promise.all(kept);
});

test('a signal takes back what has not begun, also where another write of the same signal has', async () => {
  const { outbox } = setup();
  const aborter = new AbortController();
  const reason = new Error('changed my mind');
  const begun = outbox.push('a'.repeat(2 * 1024 * KiB), aborter.signal);
  const waiting = outbox.push('b', aborter.signal);
  const sink = attached(outbox, new FakeSink());
  aborter.abort(reason);
  assert.is(await rejection(waiting), reason);
  sink.takeAll();
  await begun;
  assert.is(sink.sent.length, 1);
});

test('writes that were taken back take up no room in the bound', () => {
  const { outbox } = setup({ maxBufferedAmount: KiB * KiB });
  const [taken, kept] = [new AbortController(), new AbortController()];
  let count = 0;
  const fill = (): void => {
    for (; ; count++) void outbox.push('x', (count % 3 === 0 ? taken : kept).signal);
  };
  assert.throws(fill, isFull);
  taken.abort();
  for (let index = 0; index < count; index += 3) void outbox.push('x', kept.signal);
  assert.throws(() => outbox.push('x', kept.signal), isFull);
});

test('a signal that may take back the writes of many is no leak to be warned of', async () => {
  const warnings: Error[] = [];
  const hear = (warning: Error): void => void warnings.push(warning);
  process.on('warning', hear);
  const { signal } = new AbortController();
  for (let count = 0; count < 20; count++) void setup().outbox.push('x', signal);
  await turn();
  process.off('warning', hear);
  assert.equal(warnings, []);
});

test('a signal does not take back what has begun, after a drop neither', async () => {
  const { outbox } = setup();
  const aborter = new AbortController();
  const first = attached(outbox, new FakeSink());
  const begun = outbox.push('begun', aborter.signal);
  await turn();
  const waits = outbox.push('waits', aborter.signal);
  lose(outbox, first);
  aborter.abort();
  await rejection(waits);
  assert.ok(await isPending(begun));
  assert.equal(attached(outbox, new EagerSink()).texts, ['begun']);
  await begun;
});

test('a signal that many writes share, one after another, is left without listeners', async () => {
  const { outbox } = setup();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => (listeners++, addEventListener.apply(signal, args as never));
  signal.removeEventListener = (...args: unknown[]) => (listeners--, removeEventListener.apply(signal, args as never));
  const sink = attached(outbox, new EagerSink());
  for (let count = 0; count < 20; count++) await outbox.push('a', signal);
  assert.is(listeners, 0);
  lose(outbox, sink);
  void outbox.push('b', signal);
  outbox.fail();
  assert.is(listeners, 0);
});

test('an empty write resolves in its turn', async () => {
  const { outbox } = setup();
  const order: string[] = [];
  const write = (chunk: string, name: string): void => void outbox.push(chunk, new AbortController().signal).then(() => order.push(name));
  write('', 'empty 1');
  write('a'.repeat(300 * KiB), 'a');
  write('', 'empty 2');
  write('b'.repeat(300 * KiB), 'b');
  write('', 'empty 3');
  await turn();
  assert.equal(order, []);
  const sink = attached(outbox, new FakeSink());
  while (sink.unconfirmed > 0) {
    sink.take();
    await turn();
  }
  assert.equal(order, ['empty 1', 'a', 'empty 2', 'b', 'empty 3']);
});

test('an empty write with nothing before it waits for a link, and has nothing sent', async () => {
  const { outbox } = setup();
  const waits = outbox.push('');
  assert.ok(await isPending(waits));
  const sink = attached(outbox, new EagerSink());
  await waits;
  await outbox.push('');
  assert.equal(sink.sent, []);
});

test('closed, it takes no more, flushes what it has, and is done then', async () => {
  const { outbox } = setup();
  const write = outbox.push('a');
  const flushed = outbox.close();
  assert.throws(() => outbox.push('b'), isClosed);
  assert.throws(() => outbox.push(''), isClosed);
  assert.is(outbox.closed, true);
  assert.is(outbox.done, false);
  assert.ok(await isPending(flushed));
  const lost = attached(outbox, new FakeSink());
  lose(outbox, lost);
  const sink = attached(outbox, new FakeSink());
  assert.is(outbox.done, false);
  sink.take();
  assert.is(outbox.done, true);
  await flushed;
  await write;
});

test('closed with nothing to flush, it is done at once; empty writes are not waited for', async () => {
  const { outbox } = setup();
  const write = outbox.push('');
  const flushed = outbox.close();
  assert.is(outbox.done, true);
  await flushed;
  await write;
});

test('closed, and the last write taken back or refused: it is done', async () => {
  const aborter = new AbortController();
  const { outbox } = setup();
  void outbox.push('a', aborter.signal);
  const flushed = outbox.close();
  aborter.abort();
  await flushed;

  const other = setup({ unflushed: 'reject' }).outbox;
  const sink = attached(other, new FakeSink());
  void other.push('a');
  await turn();
  const otherFlushed = other.close();
  lose(other, sink);
  await otherFlushed;
});

test('failed, it refuses all that it has with the cause, and takes no more', async () => {
  for (const close of [true, false]) {
    const { outbox, drains } = setup();
    const cause = new Error('why');
    const sink = attached(outbox, new FakeSink());
    const writes = [outbox.push('handed')];
    await turn();
    writes.push(outbox.push('waiting'), outbox.push('', new AbortController().signal), outbox.push('x'.repeat(5_000)));
    if (close) writes.push(outbox.close());
    outbox.fail(cause);
    for (const promise of writes) {
      const error = await rejection(promise);
      assert.is((error as ReconError).code, 'ERR_RECON_CLOSED');
      assert.is(error.cause, cause);
    }
    assert.is(outbox.size, 0);
    assert.throws(() => outbox.push('a'), (error: any) => isClosed(error) && error.cause === cause);
    sink.takeAll();
    await turn();
    assert.equal(sink.texts, ['handed']);
    assert.is(drains(), 0);
  }
});

test('failed with nothing to flush, it is done', () => {
  const { outbox } = setup();
  outbox.fail();
  assert.is(outbox.done, true);
});

test('a refusal that nobody hears of ends no process', async () => {
  const { outbox } = setup();
  void outbox.push('a');
  outbox.fail(new Error('why'));
  await turn();
});

test('drain: once for each backlog, when all of it is gone', async () => {
  const { outbox, drains } = setup();
  for (let count = 1; count <= 3; count++) {
    const writes = random.list(5, () => outbox.push(Buffer.alloc(200 * KiB)));
    const sink = attached(outbox, new FakeSink());
    while (sink.unconfirmed > 0) {
      assert.is(drains(), count - 1);
      sink.take();
    }
    assert.is(drains(), count);
    await Promise.all(writes);
    lose(outbox, sink);
  }
});

test('drain: not told when nothing had to wait', async () => {
  for (const sink of [new EagerSink(), new ModestSink()]) {
    const { outbox, drains } = setup();
    outbox.attach(sink);
    for (let count = 0; count < 3; count++) await Promise.all([outbox.push('a'), outbox.push('b')]);
    assert.is(drains(), 0);
  }
});

test('drain: told for an empty write, too, if its link is down and it has to wait for the next', async () => {
  const { outbox, drains } = setup();
  const lost = attached(outbox, new EagerSink());
  lost.open = false;
  const write = outbox.push('');
  await turn();
  outbox.detach();
  attached(outbox, new EagerSink());
  await write;
  assert.is(drains(), 1);
});

test('drain: told for a link that was busy, for what a drop sent back, and for what was taken back', async () => {
  const busy = setup();
  const sink = attached(busy.outbox, new FakeSink());
  void busy.outbox.push('a');
  await turn();
  sink.take();
  assert.is(busy.drains(), 1);

  const dropped = setup();
  const lost = attached(dropped.outbox, new HopefulSink());
  void dropped.outbox.push('a');
  await turn();
  lose(dropped.outbox, lost);
  assert.is(dropped.drains(), 0);
  attached(dropped.outbox, new EagerSink());
  assert.is(dropped.drains(), 1);

  const aborted = setup();
  const aborter = new AbortController();
  void aborted.outbox.push('a', aborter.signal);
  aborter.abort();
  assert.is(aborted.drains(), 1);
});

test('drain: told to whoever was refused for want of room', async () => {
  const { outbox, drains } = setup({ maxBufferedAmount: 2 });
  const sink = attached(outbox, new EagerSink());
  void outbox.push('ab');
  assert.throws(() => outbox.push('c'), isFull);
  await turn();
  assert.equal(sink.texts, ['ab']);
  assert.is(drains(), 1);
});

test('text, bytes and halves of characters, side by side: each chunk goes out as it would alone', async () => {
  const pairs = ['\ud83d', '\ude00', '\ud800', '\udc00', '\udbff', '\udfff'];
  const chunks = ['a', ...pairs, Buffer.from('\xe9', 'latin1'), 'é', '', '\ud83d\ude00', new Uint8Array(0), '\ud83d', Buffer.from([0]), '\ude00z'];
  const alone = Buffer.concat(chunks.map((chunk) => Buffer.from(chunk as string)));
  for (const isUp of [false, true]) {
    const { outbox } = setup();
    const sink = new FakeSink();
    if (isUp) outbox.attach(sink);
    const writes = chunks.map((chunk) => outbox.push(chunk));
    assert.is(outbox.size, alone.length);
    if (!isUp) outbox.attach(sink);
    await Promise.resolve();
    assert.equal(Buffer.concat(sink.sent), alone);
    sink.takeAll();
    await Promise.all(writes);
  }
});

test('what is taken back holds on to no memory, whatever waits before it', () => {
  const { outbox } = setup();
  const bytes = held(() => {
    for (let count = 0; count < 100; count++) void outbox.push('x', new AbortController().signal);
    for (let count = 0; count < 90; count++) {
      const abort = new AbortController();
      void outbox.push(Buffer.allocUnsafeSlow(256 * KiB), abort.signal);
      abort.abort();
    }
    return outbox;
  });
  assert.is(outbox.size, 100);
  assert.ok(bytes < 512 * KiB, `${bytes} bytes are held`);
});

test('tiny writes that can be taken back one by one are bounded in memory, too', () => {
  const { outbox } = setup({ maxBufferedAmount: KiB * KiB });
  const bytes = held(() => {
    const push = (): void => {
      for (;;) void outbox.push('x', new AbortController().signal);
    };
    assert.throws(push, isFull);
    return outbox;
  });
  assert.ok(bytes < 16 * KiB * KiB, `${bytes} bytes are held`);
});

test('millions of one-byte writes that wait are held in a small multiple of their bytes', () => {
  const count = 2_000_000;
  const byte = new Uint8Array([120]);
  const { outbox } = setup({ maxBufferedAmount: count });
  const bytes = held(() => {
    for (let index = 0; index < count; index++) void outbox.push(index % 2 ? byte : 'x');
    return outbox;
  });
  assert.throws(() => outbox.push('x'), isFull);
  assert.ok(bytes < 2 * count + 2 * KiB * KiB, `${bytes} bytes are held`);
});

test('writes that are flushed leave nothing behind', async () => {
  const { outbox } = setup();
  const takeAll = (parts: readonly Part[], taken: (bytes: number) => void): boolean => {
    for (const part of parts) taken(part.length);
    return true;
  };
  outbox.attach({ open: true, send: takeAll });
  await outbox.push('warm');
  const before = used();
  for (let count = 0; count < 2_000; count++) await Promise.all([outbox.push(Buffer.alloc(10 * KiB)), outbox.push('x')]);
  const bytes = used() - before;
  assert.ok(bytes < 2 * KiB * KiB, `${bytes} bytes are held`);
});

/** A chunk as the reference knows it. */
interface Chunk {
  readonly bytes: Buffer;
  readonly signal: AbortSignal | undefined;
  /** It was handed to a link, and may have been sent in part. */
  begun: boolean;
  /** How it must settle. */
  expected: string;
}

/** What an outbox should be: an array of chunks, from the front of which links are served. */
class Reference {
  readonly unflushed: 'resend' | 'reject';
  readonly waiting: Chunk[] = [];
  readonly handed: Chunk[] = [];
  /** Bytes of the first of those handed over. */
  #taken = 0;

  constructor(unflushed: 'resend' | 'reject') {
    this.unflushed = unflushed;
  }

  get size(): number {
    return [...this.waiting, ...this.handed].reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** These bytes must be the next chunks, whole. */
  hand(bytes: Buffer): void {
    let length = 0;
    const count = this.waiting.findIndex((chunk) => (length += chunk.bytes.length) >= bytes.length) + 1;
    const chunks = this.waiting.splice(0, count);
    assert.ok(bytes.equals(Buffer.concat(chunks.map((chunk) => chunk.bytes))), 'the next chunks, in order, none of them split');
    for (const chunk of chunks) chunk.begun = true;
    this.handed.push(...chunks);
  }

  /** Chunks settle as the last of their bytes is taken. */
  take(bytes: number): void {
    this.#taken += bytes;
    for (let first = this.handed[0]; first && first.bytes.length <= this.#taken; first = this.handed[0]) {
      this.#taken -= first.bytes.length;
      first.expected = 'flushed';
      this.handed.shift();
    }
  }

  lose(): void {
    const chunks = this.handed.splice(0);
    this.#taken = 0;
    if (this.unflushed === 'resend') this.waiting.unshift(...chunks);
    else for (const chunk of chunks) chunk.expected = 'ERR_RECON_UNFLUSHED';
  }

  abort(signal: AbortSignal): void {
    const gone = this.waiting.filter((chunk) => chunk.signal === signal && !chunk.begun);
    for (const chunk of gone) {
      chunk.expected = 'aborted';
      this.waiting.splice(this.waiting.indexOf(chunk), 1);
    }
  }

  fail(): void {
    for (const chunk of [...this.waiting.splice(0), ...this.handed.splice(0)]) chunk.expected = 'ERR_RECON_CLOSED';
  }
}

/** Tells the reference of all that is handed over. */
class ReferredSink extends FakeSink {
  readonly #reference: Reference;
  readonly #atOnce = random.chance(0.3);

  constructor(reference: Reference) {
    super();
    this.#reference = reference;
  }

  override send(parts: readonly Part[], taken: (bytes: number) => void): boolean {
    super.send(parts, (bytes) => {
      if (this.open) this.#reference.take(bytes);
      taken(bytes);
    });
    this.#reference.hand(this.sent.pop()!);
    if (this.#atOnce) this.take();
    return this.#atOnce;
  }
}

const SIZES = [1, 1, 2, 60, 60, 4 * KiB - 1, 4 * KiB, 4 * KiB + 1, 20_000, 70_000, 300 * KiB];

for (const unflushed of ['resend', 'reject'] as const) {
  test(`'${unflushed}': whatever is written, taken, lost and aborted, it is as a simple array would have it`, async () => {
    const maxBufferedAmount = 500 * KiB;
    for (let round = 0; round < 200; round++) {
      const reference = new Reference(unflushed);
      const { outbox } = setup({ unflushed, maxBufferedAmount }, () => assert.is(reference.size, 0));
      const written: { chunk: Chunk; outcome: Promise<string> }[] = [];
      const aborters = random.list(3, () => new AbortController());
      let sink: ReferredSink | undefined;

      const steps: (() => unknown)[] = [
        function write() {
          const bytes = Buffer.alloc(random.oneOf(SIZES), random.bytes(8, Buffer.from('abcdefgh')));
          const signal = random.chance(0.4) ? random.oneOf(aborters).signal : undefined;
          const push = (): Promise<void> => outbox.push(random.chance(0.5) ? bytes : bytes.toString(), signal);
          if (reference.size + bytes.length > maxBufferedAmount) return assert.throws(push, isFull);
          const chunk: Chunk = { bytes, signal, begun: false, expected: 'pending' };
          reference.waiting.push(chunk);
          written.push({ chunk, outcome: push().then(() => 'flushed', (error) => error.code ?? error.message) });
        },
        function take() {
          if (sink?.open && sink.unconfirmed > 0) sink.takePart();
        },
        function takeAll() {
          if (sink?.open && random.chance(0.5)) sink.takeAll();
        },
        function goDown() {
          if (sink && random.chance(0.2)) sink.open = false;
        },
        function detach() {
          if (!sink || random.chance(0.7)) return;
          sink.open = false;
          sink = undefined;
          reference.lose();
          outbox.detach();
        },
        function attach() {
          sink ??= attached(outbox, new ReferredSink(reference));
        },
        function abort() {
          if (random.chance(0.8)) return;
          const index = random.between(0, 2);
          reference.abort(aborters[index]!.signal);
          aborters[index]!.abort({ code: 'aborted' });
          aborters[index] = new AbortController();
        },
        () => turn(),
      ];
      for (let count = random.between(1, 100); count > 0; count--) {
        await (random.chance(0.4) ? steps[0]! : random.oneOf(steps))();
        assert.is(outbox.size, reference.size);
      }

      const flushed = random.chance(0.5) ? outbox.close() : undefined;
      if (outbox.closed && random.chance(0.7)) {
        if (sink) reference.lose();
        if (sink) lose(outbox, sink);
        attached(outbox, new ReferredSink(reference)).takeAll();
        await flushed;
      } else {
        reference.fail();
        outbox.fail();
      }
      assert.is(outbox.size, 0);
      for (const { chunk, outcome } of written) assert.is(await outcome, chunk.expected);
    }
  });
}

test.run();
