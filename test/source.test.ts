import { Socket } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { Arena } from '../src/arena.js';
import { type Receiver, SlabSource, StreamSource } from '../src/source.js';
import { spin } from './helpers.js';
import { suite } from './suite.js';

const test = suite('source');

/** What a source hands over, and whether more is wanted. */
function receiver(wanted = true): Receiver & { readonly got: string[] } {
  const got: string[] = [];
  return {
    got,
    receive(chunk) {
      got.push(chunk.toString());
      return wanted;
    },
  };
}

/** A source of a socket's bytes, and the way in which Node hands it some. */
function slabSource(): { readonly socket: Socket; readonly source: SlabSource; readonly arrive: (text: string) => boolean } {
  const socket = new Socket();
  const source = new SlabSource(new Arena()).attach(socket);
  const { buffer, callback } = source.onread();
  const arrive = (text: string): boolean => {
    const room = (buffer as () => Buffer)();
    return callback(room.write(text), room);
  };
  return { socket, source, arrive };
}

test('what a socket brings before it is listened to is handed over first, each chunk by itself', () => {
  const { socket, source, arrive } = slabSource();
  const peer = receiver();
  assert.ok(arrive('one') && arrive('two'));
  source.start(peer, true);
  assert.ok(arrive('three'));
  assert.equal(peer.got, ['one', 'two', 'three']);
  assert.not(socket.isPaused());
});

test('a socket stops when what it brought early is too much, or nothing is wanted at once', () => {
  const [early, patient] = [slabSource(), slabSource()];
  early.arrive('too much');
  early.source.start(receiver(false), true);
  patient.source.start(receiver(), false);
  for (const { socket, source } of [early, patient]) {
    assert.ok(socket.isPaused());
    source.resume();
    assert.not(socket.isPaused());
  }
});

test('what has come in a long turn of the event loop is handed over, and the rest waits for the next turn', async () => {
  const [{ socket, source, arrive }, full] = [slabSource(), slabSource()];
  source.start(receiver(), true);
  full.source.start(receiver(false), true);
  // How long nothing came counts, too: the first of a flood may wait at once.
  arrive('x'.repeat(64 * KiB));
  await turn();
  let resumed = 0;
  for (const each of [socket, full.socket]) each.resume = () => (resumed++, each);
  assert.ok(arrive('x'.repeat(64 * KiB)));
  spin(6);
  assert.not(arrive('y'));
  assert.not(arrive('of what was decrypted already'));
  assert.not(full.arrive('more than is wanted'));
  await turn();
  assert.is(resumed, 1);
  assert.ok(arrive('z'));
});

const KiB = 1024;

/** Reads so much, as a socket would. */
function readInto(arena: Arena, length: number): Buffer {
  const room = arena.room();
  return arena.take(Math.min(length, room.length), room);
}

test('a slab grows with what is read, little by little shrinks, and lies side by side', () => {
  const arena = new Arena();
  /** Reads so much, and tells how large the slab was. */
  const read = (length: number): number => readInto(arena, length).buffer.byteLength / KiB;
  assert.is(read(100), 4);
  const [first, second] = [readInto(arena, 10), readInto(arena, 20)];
  assert.ok(first.buffer === second.buffer);
  assert.is(first.byteOffset + first.length, second.byteOffset);
  assert.is(read(16 * KiB), 16);
  const [before, after] = [arena.room(), arena.room()];
  assert.ok(before.buffer === after.buffer && before.byteOffset === after.byteOffset, 'room that was not used is given again');
  const [third, fourth] = [readInto(arena, 10), readInto(arena, 10)];
  assert.is(third.byteOffset + third.length, fourth.byteOffset);
  for (let count = 0; count < 3; count++) read(Infinity);
  assert.equal([read(Infinity), read(Infinity)], [120, 120], 'a flood fills one after the other');
  assert.is(read(100 * KiB), 120);
  assert.is(read(Infinity), 120, 'what is left');
  assert.is(read(60 * KiB), 64, 'it was no flood any more');
  assert.is(read(Infinity), 64);
  for (let count = 0; count < 700; count++) read(100);
  assert.is(read(100), 4, 'once half of it is used, it holds on to nothing of the flood');
});

test('large and little by turns fill their slabs', () => {
  const arena = new Arena();
  const slabs = new Set<ArrayBufferLike>();
  let bytes = 0;
  for (let count = 0; count < 600; count++) {
    const chunk = readInto(arena, count % 6 === 0 ? 8 * KiB : 16);
    slabs.add(chunk.buffer);
    bytes += chunk.length;
  }
  const held = [...slabs].reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.ok(held < 2 * bytes, `${held} bytes for ${bytes}`);
});

test('quiet connections read in one place, and what each has read is its own', () => {
  const [one, other] = [new Arena(), new Arena()];
  const room = one.room();
  assert.is(room, other.room());
  const got = [one, other, one].map((arena, index) => {
    arena.room().write(`chunk ${index}`);
    return readInto(arena, 7);
  });
  room.fill('x');
  assert.equal(got.map(String), ['chunk 0', 'chunk 1', 'chunk 2']);
});

test('a stream that has an encoding brings the same bytes', async () => {
  const stream = new PassThrough({ encoding: 'utf8' });
  const peer = receiver();
  new StreamSource(stream, new Arena()).start(peer, true);
  stream.write(Buffer.from('grüß').subarray(0, 3));
  stream.write(Buffer.from('grüß').subarray(3));
  await turn();
  assert.is(peer.got.join(''), 'grüß');
});

test('a stream waits until it is resumed, when nothing is wanted at once', async () => {
  const stream = new PassThrough();
  const peer = receiver();
  const source = new StreamSource(stream, new Arena());
  stream.write('hello');
  source.start(peer, false);
  await turn();
  assert.equal(peer.got, []);
  source.resume();
  await turn();
  assert.equal(peer.got, ['hello']);
});

test('a stream of anything but bytes is destroyed with an error that says so', async () => {
  const stream = new Duplex({ objectMode: true, read() {}, write: (_message, _encoding, callback) => callback() });
  const failed = new Promise<Error>((resolve) => stream.once('error', resolve));
  const peer = receiver();
  new StreamSource(stream, new Arena()).start(peer, true);
  stream.push({ not: 'bytes' });
  const error = await failed;
  assert.equal(peer.got, []);
  assert.instance(error, TypeError);
  assert.match(error.message, 'a stream of objects');
});

test.run();
