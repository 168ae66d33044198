import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { Inbox, type InboxOptions } from '../src/inbox.js';
import type { Reader } from '../src/reader.js';
import type { Section } from '../src/section.js';
import { codeOf, isPending, rejection } from './helpers.js';
import { held } from './memory.js';
import * as random from './random.js';
import { suite } from './suite.js';

const test = suite('inbox');

type Box = Inbox<string, string>;
type Part = Section<string, string>;
type Kind = 'messages' | 'batches' | 'links';
const KINDS = ['messages', 'batches', 'links'] as const satisfies Kind[];

interface Setup {
  readonly inbox: Box;
  /** Bytes that nobody will read. */
  readonly dropped: () => number;
}

function setup(options: Partial<InboxOptions> = {}): Setup {
  const counters = { bytesDiscarded: 0 };
  const inbox: Box = new Inbox({ highWaterMark: 1_000, raw: false, ...options }, counters);
  return { inbox, dropped: () => counters.bytesDiscarded };
}

/** A link that is up, and what it has sent. */
function up(inbox: Box, link: string, ...messages: string[]): Part {
  const section = inbox.open(link);
  section.release();
  if (messages.length > 0) send(section, ...messages);
  return section;
}

/** A message long enough not to be counted together with its neighbours. */
const big = 'x'.repeat(40_000);

/** Messages that come in with one chunk, a byte for each character. */
function send(section: Part, ...messages: string[]): void {
  section.push(messages, messages.join('').length);
}

/** A reader of any kind. */
type Reading<T> = Pick<Reader<T>, 'next' | 'return'>;

/** The next result of a reader. */
const next = async <T>(reader: Reading<T>): Promise<T | 'done'> => {
  const { done, value } = await reader.next();
  return done ? 'done' : value;
};

/** So many results of a reader. */
const take = async <T>(reader: Reading<T>, count: number): Promise<(T | 'done')[]> =>
  Promise.all(random.list(count, () => next(reader)));

/** Everything up to the end. */
async function all<T>(reader: AsyncIterable<T>): Promise<T[]> {
  const results: T[] = [];
  for await (const result of reader) results.push(result);
  return results;
}

/** Says who is told that there is room. */
function hearRoom(section: Part): { count: number } {
  const told = { count: 0 };
  section.feed = { onRoom: () => void (told.count += 1) };
  return told;
}

test('what one link sent comes before what the next one sends, and the end after all', async () => {
  const { inbox } = setup();
  for (const link of ['a', 'b', 'c']) up(inbox, link, `${link}1`, `${link}2`).close();
  inbox.finish('clean');
  assert.equal(await all(inbox.messages()), ['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
  assert.equal(await all(inbox.messages()), []);
});

test('batches() brings all that is ready as one array, and never one that spans two links', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', 'a1', 'a2');
  send(a, 'a3');
  a.close();
  const b = up(inbox, 'b', 'b1');
  const batches = inbox.batches();
  assert.equal(await next(batches), ['a1', 'a2', 'a3']);
  assert.equal(await next(batches), ['b1']);
  const waiting = next(batches);
  assert.ok(await isPending(waiting));
  send(b, 'b2', 'b3');
  assert.equal(await waiting, ['b2', 'b3']);
  send(b, big);
  send(b, big);
  assert.equal(await next(batches), [big, big]);
});

test('whoever reads, in whatever way and with whatever breaks, gets everything once and in order', async () => {
  for (let round = 0; round < 200; round++) {
    const { inbox } = setup();
    const sent: string[] = [];
    const read: string[] = [];
    let section = up(inbox, '0');
    let count = 0;
    for (let step = random.between(1, 60); step > 0; step--) {
      if (random.chance(0.5)) {
        const messages = random.list(random.between(0, 4), () => `${section.link}.${count++}`);
        sent.push(...messages);
        section.push(messages, 1);
      } else if (random.chance(0.3)) {
        section.close();
        section = up(inbox, String(step));
      }
      for (let left = random.between(0, 3); left > 0 && read.length < sent.length; left--) {
        const reader = random.chance(0.5) ? inbox.batches() : inbox.messages();
        const result = (await reader.next()).value!;
        const messages = typeof result === 'string' ? [result] : result;
        assert.is(new Set(messages.map((message) => message.split('.')[0])).size, 1, 'of one link');
        read.push(...messages);
        await reader.return();
      }
    }
    section.close();
    inbox.finish('clean');
    read.push(...(await all(inbox.messages())));
    assert.equal(read, sent);
    assert.is(inbox.size, 0);
  }
});

test('a loop that is left lives on in the next one, in the middle of a chunk too', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', '1', '2', '3', '4');
  for await (const message of inbox.messages()) {
    assert.is(message, '1');
    break;
  }
  for await (const batch of inbox.batches()) {
    assert.equal(batch, ['2', '3', '4']);
    break;
  }
  send(a, '5');
  const failure = new Error('of the loop');
  const loop = async (): Promise<void> => {
    for await (const message of inbox.messages()) throw Object.assign(failure, { message });
  };
  assert.is((await rejection(loop())).message, '5');
  send(a, '6');
  assert.is(await next(inbox.messages()), '6');
});

for (const first of KINDS) {
  for (const second of KINDS) {
    test(`one reader at a time: ${second}() while ${first}() reads is refused, and takes nothing`, async () => {
      const { inbox } = setup();
      const section = up(inbox, 'a', '1');
      const reader = inbox[first]();
      await reader.next();
      assert.ok(inbox.reading);
      const other = inbox[second]();
      assert.is(await codeOf(other.next()), 'ERR_RECON_READING');
      send(section, '2');
      section.close();
      up(inbox, 'b', '2');
      assert.equal(await next<unknown>(reader), { messages: '2', batches: ['2'], links: 'b' }[first]);
      await reader.return();
      assert.not(inbox.reading);
      assert.not((await other.next()).done);
      assert.is(await codeOf(inbox.messages().next()), 'ERR_RECON_READING');
    });

    test(`one reader at a time: ${second}() that was refused can be left without harm to ${first}()`, async () => {
      const { inbox } = setup();
      const section = up(inbox, 'a', '1');
      const reader = inbox[first]();
      await reader.next();
      const other = inbox[second]();
      await codeOf(other.next());
      await other.return();
      assert.is(await codeOf(inbox.messages().next()), 'ERR_RECON_READING');
      send(section, '2');
      section.close();
      up(inbox, 'b', '2');
      assert.equal(await next<unknown>(reader), { messages: '2', batches: ['2'], links: 'b' }[first]);
    });
  }
}

test('a reader that was not asked yet keeps nobody from reading', async () => {
  const { inbox } = setup();
  up(inbox, 'a', '1');
  inbox.messages();
  assert.not(inbox.reading);
  assert.is(await next(inbox.messages()), '1');
});

test('several next() at once are served in order, and all find the end', async () => {
  const { inbox } = setup();
  const section = up(inbox, 'a', '1');
  const reader = inbox.messages();
  const results = take(reader, 5);
  assert.ok(await isPending(results));
  send(section, '2', '3');
  section.close();
  inbox.finish('clean');
  assert.equal(await results, ['1', '2', '3', 'done', 'done']);
  assert.is(await next(reader), 'done');
});

test('return() ends the next() that wait, and the reader for good', async () => {
  const { inbox } = setup();
  const section = up(inbox, 'a');
  const reader = inbox.messages();
  const waiting = take(reader, 2);
  assert.equal(await reader.return(), { done: true, value: undefined });
  assert.equal(await waiting, ['done', 'done']);
  send(section, '1');
  assert.is(await next(reader), 'done');
  assert.is(await next(inbox.messages()), '1');
});

test('an error comes after everything that was received, to every reader, and once to each', async () => {
  const error = new Error('why');
  const { inbox } = setup();
  const section = up(inbox, 'a', '1');
  inbox.finish({ error });
  send(section, '2');
  section.close();
  const reader = inbox.messages();
  assert.equal(await take(reader, 2), ['1', '2']);
  assert.is(await rejection(reader.next()), error);
  assert.is(await next(reader), 'done');
  for (const kind of KINDS) assert.is(await rejection(inbox[kind]().next()), error, kind);
});

test('readers that wait learn of the end when the last link is lost; the first end stands', async () => {
  const error = new Error('why');
  for (const [end, outcome] of [['clean', 'done'], [{ error }, error]] as const) {
    const { inbox } = setup();
    const section = up(inbox, 'a');
    const reader = inbox.messages();
    const outcomes = [next(reader), next(reader)].map((result) => result.catch((reason: unknown) => reason));
    inbox.finish(end);
    inbox.finish({ error: new Error('later') });
    assert.ok(await isPending(outcomes[0]!), 'more may come');
    section.close();
    assert.equal(await Promise.all(outcomes), [outcome, 'done']);
  }
});

test('a failure that nobody reads of ends no process', async () => {
  const { inbox } = setup();
  void inbox.messages().next();
  inbox.finish({ error: new Error('why') });
  await turn();
});

test('links(): each link in turn, with its own messages up to where it ended', async () => {
  const { inbox } = setup();
  const sections = new Map(['a', 'b', 'c'].map((link) => [link, inbox.open(link)]));
  const read: string[] = [];
  const loop = (async () => {
    for await (const link of inbox.links()) {
      read.push(link);
      for await (const message of inbox.messagesOf(sections.get(link)!)) read.push(message);
      read.push(`${link} ends`);
    }
  })();
  for (const [link, section] of sections) {
    section.release();
    send(section, `${link}1`, `${link}2`);
    await turn();
    send(section, `${link}3`);
    section.close();
    await turn();
  }
  inbox.finish('clean');
  await loop;
  assert.equal(read, ['a', 'b', 'c'].flatMap((link) => [link, `${link}1`, `${link}2`, `${link}3`, `${link} ends`]));
});

test('links(): a link that sends nothing is one, too', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a');
  const links = inbox.links();
  assert.is(await next(links), 'a');
  a.close();
  for (const link of ['b', 'c']) up(inbox, link).close();
  inbox.finish('clean');
  assert.equal(await take(links, 3), ['b', 'c', 'done']);
});

test('links that sent nothing are forgotten when nobody visits them', () => {
  const { inbox } = setup();
  const bytes = held(() => {
    for (let count = 0; count < 50_000; count++) up(inbox, 'a').close();
    return inbox;
  });
  assert.ok(bytes < 2 * 1024 * 1024, `${bytes} bytes are held`);
});

test('links(): moving on skips what is left of a link, and what it still sends', async () => {
  const { inbox, dropped } = setup();
  const a = up(inbox, 'a', '1', '22', '333');
  const links = inbox.links();
  assert.is(await next(links), 'a');
  assert.is(await next(inbox.messagesOf(a)), '1');
  const b = next(links);
  assert.ok(await isPending(b), 'the next link is not there yet');
  send(a, '4444');
  assert.is(dropped(), 10);
  assert.is(inbox.size, 0);
  a.close();
  up(inbox, 'b', '5');
  assert.is(await b, 'b');
});

test('links(): who still reads a link that was moved on from finds its end', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', '1', '2');
  const links = inbox.links();
  await next(links);
  const messages = inbox.messagesOf(a);
  assert.is(await next(messages), '1');
  a.close();
  up(inbox, 'b', '3');
  assert.is(await next(links), 'b');
  assert.is(await next(messages), 'done');
});

test('links(): who leaves the loop leaves what is left to the next reader', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', '1', '2', '3');
  for await (const _ of inbox.links()) {
    assert.is(await next(inbox.messagesOf(a)), '1');
    break;
  }
  await inbox.messagesOf(a).return();
  assert.equal(await take(inbox.messages(), 2), ['2', '3']);
});

test("a link's own messages are for whoever visits it, or reads nothing else meanwhile", async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', '1', '2', '3');
  const own = inbox.messagesOf(a);
  assert.is(await next(own), '1');
  assert.is(await codeOf(inbox.messages().next()), 'ERR_RECON_READING');
  await own.return();
  const reader = inbox.messages();
  assert.is(await next(reader), '2');
  assert.is(await codeOf(inbox.messagesOf(a).next()), 'ERR_RECON_READING');
  await reader.return();
  const links = inbox.links();
  await next(links);
  const visitor = inbox.messagesOf(a);
  assert.is(await next(visitor), '3');
  assert.is(await codeOf(inbox.messagesOf(a).next()), 'ERR_RECON_READING', 'one of them at a time');
});

test('the loop of a link that was lost, and of which nothing is left, ends though somebody else reads', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', '1');
  const reader = inbox.messages();
  assert.is(await next(reader), '1');
  a.close();
  assert.equal(await all(inbox.messagesOf(a)), []);
});

test('one reader at a time: for what is left of a link that was dropped, too', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', '1', '2');
  a.discardRest();
  const reader = inbox.messages();
  assert.is(await next(reader), '1');
  assert.is(await codeOf(inbox.messagesOf(a).next()), 'ERR_RECON_READING');
  assert.is(await next(reader), '2');
});

test('until a link is up, what it sends is its own; what it leaves goes to the reader', async () => {
  for (const kind of ['messages', 'batches'] as const) {
    const { inbox } = setup();
    up(inbox, 'a', '0').close();
    const b = inbox.open('b');
    send(b, '1', '2', '3');
    const reader = inbox[kind]();
    assert.equal([await next<unknown>(reader)].flat(), ['0']);
    const waiting = next<unknown>(reader);
    assert.ok(await isPending(waiting));
    const own = inbox.messagesOf(b);
    assert.is(await next(own), '1');
    assert.is(await codeOf(inbox.messagesOf(b).next()), 'ERR_RECON_READING');
    await own.return();
    assert.ok(await isPending(waiting));
    b.release();
    assert.equal([await waiting].flat(), kind === 'messages' ? ['2'] : ['2', '3']);
  }
});

test('a link is not visited before it is up', async () => {
  const { inbox } = setup();
  const section = inbox.open('a');
  send(section, '1');
  const link = next(inbox.links());
  assert.ok(await isPending(link));
  section.release();
  assert.is(await link, 'a');
});

test('links(): a link that was lost before it was up is none', async () => {
  const { inbox } = setup();
  const link = next(inbox.links());
  for (const failed of ['silent', 'talking']) {
    const section = inbox.open(failed);
    if (failed === 'talking') send(section, '1');
    section.close();
  }
  up(inbox, 'b');
  assert.is(await link, 'b');
});

test('what links sent that were lost before they were up does not fill the memory', () => {
  const { inbox, dropped } = setup({ highWaterMark: big.length });
  for (let count = 0; count < 10; count++) {
    const section = inbox.open('a');
    send(section, big);
    section.close();
  }
  assert.ok(inbox.size <= 2 * big.length);
  assert.is(inbox.size + dropped(), 10 * big.length);
});

test('what a link sent that was lost before it was up reaches the reader', async () => {
  const { inbox } = setup();
  const a = inbox.open('a');
  send(a, '1');
  a.close();
  up(inbox, 'b', '2');
  assert.equal(await take(inbox.messages(), 2), ['1', '2']);
});

test("a link's own reader waits for more, and finds the end when it is lost", async () => {
  const { inbox } = setup();
  const section = inbox.open('a');
  const own = inbox.messagesOf(section);
  const results = take(own, 3);
  send(section, '1');
  assert.ok(await isPending(results));
  section.close();
  assert.equal(await results, ['1', 'done', 'done']);
});

test('clear(): what was not read is gone, and counted; so is what comes', async () => {
  const { inbox, dropped } = setup();
  up(inbox, 'a', '1', '22').close();
  const b = up(inbox, 'b', '333', '4444');
  assert.is(await next(inbox.messages()), '1');
  inbox.clear();
  assert.is(inbox.size, 0);
  send(b, '55555');
  assert.is(dropped(), 1 + 2 + 7 + 5);
  assert.is(b.closed, true);
});

test('clear(), then the end: a reader that waits is done, or throws at once', async () => {
  const error = new Error('why');
  for (const [end, outcome] of [['clean', 'done'], [{ error }, error]] as const) {
    const { inbox } = setup();
    up(inbox, 'a', '1', '2', '3');
    const reader = inbox.messages();
    assert.is(await next(reader), '1');
    inbox.clear();
    inbox.finish(end);
    assert.is(await next(reader).catch((reason: unknown) => reason), outcome);
  }
});

test('size: bytes received and not read, of all links', async () => {
  const { inbox } = setup();
  const a = up(inbox, 'a', big);
  send(a, big);
  a.close();
  up(inbox, 'b', big);
  assert.is(inbox.size, 3 * big.length);
  const reader = inbox.messages();
  const sizes: number[] = [];
  for (let count = 0; count < 3; count++) sizes.push((await next(reader), inbox.size));
  assert.equal(sizes, [2 * big.length, big.length, 0]);
});

test('size: a message counts with all its bytes, those that came in chunks before it was complete too', async () => {
  const { inbox, dropped } = setup();
  const section = up(inbox, 'a');
  for (const read of [true, false]) {
    for (let count = 0; count < 9; count++) section.push([], 100);
    section.push(['a message of 901 bytes'], 1);
    assert.is(inbox.size, 901);
    if (read) await next(inbox.batches());
    else section.skip();
    assert.is(inbox.size, 0);
  }
  assert.is(dropped(), 901);
});

test('bytes that completed no message, and were not counted by the decoder, are lost with their link', () => {
  const { inbox, dropped } = setup();
  const section = up(inbox, 'one', 'message');
  section.push([], 3);
  section.close();
  assert.is(dropped(), 3);
  assert.is(inbox.size, 7);
});

test('attempts that fail again and again leave little behind, and do not keep the next from being heard', () => {
  const { inbox, dropped } = setup({ highWaterMark: 2 ** 30 });
  for (let count = 0; count < 10_000; count++) {
    const section = inbox.open(`link ${count}`);
    assert.not(section.full);
    send(section, 'no');
    section.close();
  }
  assert.ok(inbox.size < 1_000, `${inbox.size} bytes are left`);
  assert.is(inbox.size + dropped(), 20_000);
});

test('a row of short links that nobody reads is full some day, though they said little, until somebody reads', async () => {
  const { inbox, dropped } = setup({ highWaterMark: 100_000 });
  let count = 0;
  let last = up(inbox, 'first', 'hello');
  for (; !last.full; count++) {
    assert.ok(count < 1_000);
    last.close();
    last = up(inbox, 'next', 'hello');
  }
  let resumed = false;
  last.feed = { onRoom: () => (resumed = true) };
  await take(inbox.messages(), 2);
  assert.ok(resumed);
  assert.is(dropped(), 0);
});

test('links that are skipped are nothing unread, however many and short', () => {
  const { inbox } = setup();
  for (let count = 0; count < 1_000; count++) {
    const section = up(inbox, String(count), 'hello');
    section.skip();
    section.close();
  }
  assert.is(inbox.size, 0);
  assert.not(up(inbox, 'last').full);
});

test('empty links are nothing unread, however many a reader of links has not come to', async () => {
  const { inbox } = setup({ highWaterMark: 1 });
  const links = inbox.links();
  let last = up(inbox, 'first');
  assert.is(await next(links), 'first');
  for (let count = 0; count < 1_000; count++) {
    last.close();
    last = up(inbox, String(count));
  }
  assert.not(last.full);
  await links.return();
  send(last, 'hello');
  assert.is(await next(inbox.messages()), 'hello');
});

test('who has left reads nothing more, of what had come together either', async () => {
  const { inbox } = setup();
  send(up(inbox, 'one'), '1', '2', '3');
  const reader = inbox.messages();
  assert.is(await next(reader), '1');
  await reader.return();
  assert.is(await next(reader), 'done');
  assert.is(await next(inbox.messages()), '2');
});

test("a link's own reader comes before the connection's", async () => {
  const { inbox } = setup();
  const section = inbox.open('one');
  const own = next(inbox.messagesOf(section));
  const other = next(inbox.messages());
  section.release();
  send(section, '1', '2');
  assert.equal(await Promise.all([own, other]), ['1', '2']);
});

test('size: what a lost link left unfinished does not count', async () => {
  const { inbox } = setup();
  const section = up(inbox, 'a', '1');
  section.push([], 100);
  section.close();
  await next(inbox.messages());
  assert.is(inbox.size, 0);
});

test('full: from highWaterMark on, over all links; who reads below it is told at once, and once', async () => {
  const { inbox } = setup({ highWaterMark: 10 });
  const a = up(inbox, 'a', '12345');
  a.close();
  const b = up(inbox, 'b', '6789');
  const room = hearRoom(b);
  assert.not(b.full);
  send(b, '0');
  assert.ok(b.full);
  assert.is(room.count, 0);
  const reader = inbox.messages();
  await next(reader);
  assert.not(b.full);
  assert.is(room.count, 1);
});

test('full: no one is told of room while there is none, nor when the link is lost', async () => {
  const { inbox } = setup({ highWaterMark: 2 * big.length });
  const a = up(inbox, 'a');
  for (let count = 0; count < 4; count++) send(a, big);
  const room = hearRoom(a);
  const reader = inbox.messages();
  const counts: number[] = [];
  for (let left = 3; left > 0; left--) counts.push((await next(reader), room.count));
  assert.equal(counts, [0, 0, 1]);
  a.close();
  await next(reader);
  assert.is(room.count, 1);
});

test('full: not while there is nothing to be read, or the rest of a long message would never come', async () => {
  const { inbox } = setup({ highWaterMark: 10 });
  const section = up(inbox, 'a');
  const message = next(inbox.messages());
  section.push([], 100);
  assert.not(section.full);
  section.push(['long'], 1);
  assert.is(await message, 'long');
});

test('a source that goes on at once, as soon as it is told of room, disturbs no order', async () => {
  const { inbox } = setup({ highWaterMark: 1 });
  const section = inbox.open('a');
  send(section, '1');
  const results = take(inbox.messages(), 3);
  const left = ['2', '3'];
  const onRoom = (): void => {
    const message = left.shift();
    if (message !== undefined) send(section, message);
  };
  section.feed = { onRoom };
  section.release();
  assert.not(await isPending(results));
  assert.equal(await results, ['1', '2', '3']);
});

test("full: not for a link that waits in onLink for its own, however much of others' is unread", async () => {
  const { inbox } = setup({ highWaterMark: 1 });
  up(inbox, 'a', '1').close();
  const b = inbox.open('b');
  const room = hearRoom(b);
  assert.ok(b.full);
  const own = next(inbox.messagesOf(b));
  assert.not(b.full);
  assert.is(room.count, 1, 'and it is told so');
  send(b, '2');
  assert.is(await own, '2');
  assert.ok(b.full);
});

test('discardRest(), discard: what comes is counted and discarded, and never stops the source', async () => {
  const { inbox, dropped } = setup({ highWaterMark: 1 });
  const section = up(inbox, 'a', '1');
  const room = hearRoom(section);
  section.discardRest();
  assert.ok(section.discarding);
  assert.is(room.count, 1);
  send(section, '22', '33');
  section.push([], 5);
  assert.not(section.full);
  assert.is(dropped(), 9);
  assert.is(inbox.size, 1);
  assert.is(await next(inbox.messages()), '1', 'what was there stays');
});

test('what comes after a link was lost, as from a decoder that drops it, is counted and discarded', async () => {
  const { inbox, dropped } = setup();
  const section = up(inbox, 'a', '1');
  section.close();
  send(section, '22');
  inbox.finish('clean');
  assert.equal(await all(inbox.messages()), ['1']);
  assert.is(dropped(), 2);
});

test('onlyIfRead(), nobody reading: what comes is dropped; what was received stays', async () => {
  const { inbox, dropped } = setup();
  const section = up(inbox, 'a', '1');
  section.onlyIfRead();
  send(section, '22');
  assert.is(dropped(), 2);
  section.close();
  inbox.finish('clean');
  assert.equal(await all(inbox.messages()), ['1']);
});

test('onlyIfRead(): who reads already gets what the peer still sends', async () => {
  const { inbox, dropped } = setup({ highWaterMark: 1 });
  const section = up(inbox, 'a');
  const reader = inbox.messages();
  const first = next(reader);
  section.onlyIfRead();
  send(section, '1');
  send(section, '2');
  assert.is(await first, '1');
  assert.is(await next(reader), '2');
  assert.is(dropped(), 0);
});

const READERS: [name: string, reader: (inbox: Box, section: Part) => Reading<unknown>][] = [
  ['messages()', (inbox) => inbox.messages()],
  ['batches()', (inbox) => inbox.batches()],
  ['links()', (inbox) => inbox.links()],
  ["a link's own messages", (inbox, section) => inbox.messagesOf(section)],
];

for (const [name, make] of READERS) {
  test(`onlyIfRead(): when the reader of ${name} leaves, a source that it stopped goes on, dropped`, async () => {
    const { inbox } = setup({ highWaterMark: 1 });
    const section = up(inbox, 'a', '1');
    send(section, '2');
    const reader = make(inbox, section);
    await reader.next();
    if (!section.full) send(section, '3');
    section.onlyIfRead();
    assert.ok(section.full);
    const room = hearRoom(section);
    await reader.return();
    assert.not(section.full);
    assert.is(room.count, 1);
  });
}

/** An inbox of bytes. */
const raw = (): Inbox<Buffer, string> => new Inbox<Buffer, string>({ highWaterMark: 1e9, raw: true }, { bytesDiscarded: 0 });

test('raw chunks that lie side by side in memory are read as one, of 64 KiB at most', async () => {
  const slab = random.bytes(200_000);
  const inbox = raw();
  const section = inbox.open('a');
  section.release();
  for (let at = 0; at < slab.length; at += 1_000) section.push([slab.subarray(at, at + 1_000)], 1_000);
  assert.is(inbox.size, slab.length);
  section.close();
  inbox.finish('clean');
  const chunks = await all(inbox.messages());
  assert.ok(chunks.every((chunk) => chunk.length <= 64 * 1024));
  assert.ok(chunks.length <= 4, `${chunks.length} chunks`);
  assert.ok(Buffer.concat(chunks).equals(slab));
  assert.is(inbox.size, 0);
});

test('raw chunks are not joined across a gap, another buffer, or a link; and messages never are', async () => {
  const [slab, other] = [new ArrayBuffer(10), new ArrayBuffer(10)].map((memory) => Buffer.from(memory).fill('0123456789')) as [Buffer, Buffer];
  const inbox = raw();
  let section = inbox.open('a');
  const push = (chunk: Buffer): void => section.push([chunk], chunk.length);
  push(slab.subarray(0, 2));
  push(slab.subarray(3, 5));
  push(slab.subarray(0, 3));
  push(other.subarray(3, 6));
  push(slab.subarray(6, 7));
  section.close();
  section = inbox.open('b');
  push(slab.subarray(7, 9));
  section.close();
  inbox.finish('clean');
  assert.equal((await all(inbox.messages())).map(String), ['01', '34', '012', '345', '6', '78']);

  const framed = new Inbox<Buffer, string>({ highWaterMark: 1e9, raw: false }, { bytesDiscarded: 0 });
  section = framed.open('a');
  push(slab.subarray(0, 2));
  push(slab.subarray(2, 4));
  section.release();
  assert.equal((await next(framed.batches()) as Buffer[]).map(String), ['01', '23']);
});

test('raw: a chunk that was read is left alone by the one that lies behind it', async () => {
  const slab = Buffer.from('0123');
  const inbox = raw();
  const section = inbox.open('a');
  section.release();
  section.push([slab.subarray(0, 2)], 2);
  const reader = inbox.messages();
  const first = await next(reader);
  section.push([slab.subarray(2, 4)], 2);
  assert.is(String(await next(reader)), '23');
  assert.is(String(first), '01');
});

test.run();
