import { once } from 'node:events';
import net from 'node:net';
import * as assert from 'uvu/assert';
import { CALM, type Misfortune, misfortune, TROUBLES } from './plan.js';
import { ChaosProxy, type Entry } from './proxy.js';
import { Generator } from '../generator.js';
import { eventually, Peer, PeerLink } from '../peer.js';
import { suite } from '../suite.js';

const test = suite('chaos-proxy');

interface Link {
  readonly client: PeerLink;
  readonly server: PeerLink;
  readonly entry: Entry;
}

/** One link with a misfortune, on which both sides have sent a hundred bytes. */
async function befallen(plan: Partial<Misfortune>, look: (link: Link) => Promise<void>): Promise<void> {
  await using peer = await Peer.start();
  await using proxy = await ChaosProxy.start(() => peer.port, () => ({ ...CALM, ...plan }));
  const client = new PeerLink(net.connect(proxy.port, '127.0.0.1'));
  const server = await peer.nextLink();
  const sent = Promise.allSettled([client.send('c'.repeat(100)), server.send('s'.repeat(100))]);
  await look({ client, server, entry: proxy.ledger[0]! });
  await sent;
}

const ended = async (link: PeerLink): Promise<void> => {
  if (!link.socket.closed) await link.closed;
};

test('a plan follows from its seed and from the number of the link, and from nothing else', () => {
  const plan = (seed: number, link: number): Misfortune => misfortune(new Generator(seed).fork('link', link), TROUBLES);
  const once = Array.from({ length: 50 }, (_, link) => plan(1, link));
  const again = Array.from({ length: 50 }, (_, index) => plan(1, 49 - index)).reverse();
  assert.equal(again, once);
  assert.not.equal(Array.from({ length: 50 }, (_, link) => plan(2, link)), once);
});

test('without a misfortune everything is passed on, goodbyes too, and the ledger says so', async () => {
  await befallen({}, async ({ client, server, entry }) => {
    await Promise.all([client.untilLength(100), server.untilLength(100)]);
    client.end();
    await Promise.all([ended(client), ended(server)]);
    await eventually(() => entry.over);
    assert.equal(entry.toServer, { taken: 100, passed: 100, whole: true });
    assert.equal(entry.toClient, { taken: 100, passed: 100, whole: true });
  });
});

for (const trouble of ['FIN', 'RST', 'close'] as const) {
  test(`${trouble} after a number of bytes: not one more arrives, in the middle of a chunk`, async () => {
    await befallen({ trouble, after: 10, direction: 'toServer' }, async ({ client, server, entry }) => {
      await ended(client);
      await ended(server);
      await eventually(() => entry.over);
      assert.ok(entry.struck);
      // Of a goodbye, the client's own bytes are still passed on.
      assert.is(server.received.length, trouble === 'FIN' ? 100 : 10);
      assert.is(entry.toServer.passed, server.received.length);
      assert.is(entry.toServer.whole, trouble === 'FIN');
    });
  });
}

test('half: the server is told goodbye, and what the client still sends is taken and lost', async () => {
  await befallen({ trouble: 'half', after: 10, direction: 'toServer' }, async ({ client, server, entry }) => {
    await ended(server);
    await ended(client);
    await eventually(() => entry.over);
    assert.equal([server.text, client.text], ['c'.repeat(10), 's'.repeat(100)]);
    assert.equal(entry.toServer, { taken: 100, passed: 10, whole: false });
  });
});

for (const trouble of ['FIN', 'RST', 'close'] as const) {
  test(`${trouble} right after accept: the server hears nothing of it`, async () => {
    await using peer = await Peer.start();
    const plan = (link: number): Misfortune => (link === 0 ? { ...CALM, trouble, after: 'accept' } : CALM);
    await using proxy = await ChaosProxy.start(() => peer.port, plan);
    await ended(new PeerLink(net.connect(proxy.port, '127.0.0.1')));
    const client = new PeerLink(net.connect(proxy.port, '127.0.0.1'));
    await client.send('next');
    await (await peer.nextLink()).until('next');
    assert.equal([proxy.ledger[0]!.dialled, proxy.accepted, peer.links.length], [undefined, 2, 1]);
  });
}

test('silence: what comes is taken, and nothing is passed on', async () => {
  await befallen({ trouble: 'silence', after: 10, direction: 'toClient' }, async ({ client, server, entry }) => {
    await client.untilLength(10);
    const before = entry.toServer.passed;
    await Promise.all([client.send('more'), server.send('more')]);
    await eventually(() => entry.toServer.taken === 104 && entry.toClient.taken === 104);
    assert.equal([entry.toServer.passed, entry.toClient.passed, client.received.length], [before, 10, 10]);
    assert.not.ok(client.socket.destroyed || server.socket.destroyed);
    client.socket.destroy();
    await ended(server);
  });
});

for (const plan of [{ trouble: 'stall', after: 10 }, { pace: 'delay', delay: 5 }] as const) {
  test(`${'trouble' in plan ? 'a stall' : 'a delay'}: everything arrives, only later`, async () => {
    await befallen(plan, async ({ client, server }) => {
      const started = performance.now();
      await Promise.all([client.untilLength(100), server.untilLength(100)]);
      assert.ok(performance.now() - started >= 3);
    });
  });
}

test('a trickle: bytes come singly', async () => {
  const chunks: number[] = [];
  const onLink = ({ socket }: PeerLink): unknown => socket.on('data', ({ length }: Buffer) => chunks.push(length));
  await using peer = await Peer.start({ onLink });
  await using proxy = await ChaosProxy.start(() => peer.port, () => ({ ...CALM, pace: 'trickle' }));
  const client = net.connect(proxy.port, '127.0.0.1');
  await once(client, 'connect');
  client.write(Buffer.alloc(100));
  const server = await peer.nextLink();
  await server.untilLength(100);
  // Two may meet on their way.
  assert.ok(chunks.length > 50, `${chunks.length} chunks`);
  client.destroy();
});

test.run();
