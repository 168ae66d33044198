import { inspect } from 'node:util';
import * as assert from 'uvu/assert';
import { type Codec, decode, type Decoder, encode } from '../src/codec.js';
import { jsonLines, lengthPrefixed, lines, text } from '../src/codecs.js';
import { ReconError } from '../src/errors.js';
import { held } from './memory.js';
import * as random from './random.js';
import { suite } from './suite.js';

const test = suite('codecs');
const MiB = 1024 * 1024;

type AnyCodec = Codec<any, any>;

interface Reading {
  messages: any[];
  error: ReconError | TypeError | undefined;
  /** Bytes of an unfinished message. */
  pending: number;
}

/** What one link's decoder makes of these chunks; an error is the end of the link. */
function read(codec: AnyCodec, chunks: Iterable<Buffer>): Reading {
  const decoder = codec.decoder();
  const reading: Reading = { messages: [], error: undefined, pending: 0 };
  for (const chunk of chunks) {
    const { messages, error } = decode(decoder, chunk);
    for (const message of messages) reading.messages.push(message);
    reading.error = error;
    if (error) break;
  }
  reading.pending = decoder.pending?.() ?? 0;
  return reading;
}

/** The bytes one by one. */
function* singly(whole: Buffer): Generator<Buffer> {
  for (let at = 0; at < whole.length; at++) yield whole.subarray(at, at + 1);
}

/** The same bytes: whole, cut in two at every boundary, one by one, and in random pieces. */
function* everySplit(whole: Buffer): Generator<Iterable<Buffer>> {
  for (let at = 0; at <= whole.length; at++) yield [whole.subarray(0, at), whole.subarray(at)];
  yield singly(whole);
  for (let count = 0; count < 10; count++) yield random.pieces(whole);
}

const encodeAll = (codec: AnyCodec, messages: unknown[]): Buffer =>
  Buffer.concat(messages.map((message) => Buffer.from(encode(codec, message) as Uint8Array)));

const isCodecError = (error: unknown): boolean => error instanceof ReconError && error.code === 'ERR_RECON_CODEC';

/** A frame of `lengthPrefixed()` that may lie about its length. */
function framed(length: number, body = ''): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(length);
  return Buffer.concat([header, Buffer.from(body)]);
}

const CHARACTERS = ['a', 'Z', '0', ' ', '\0', '\t', '\r.', '"', '\\', 'é', '€', '\u2028', '\ufeff', '\ufffd', '😀', '𝄞'];
const characters = (): string => random.list(random.between(0, 6), () => random.oneOf(CHARACTERS)).join('');

function json(depth = 2): unknown {
  const leaf = (): unknown => random.oneOf([null, true, false, 0, -1.5, 1e300, characters(), `${characters()}\n\r`]);
  if (depth === 0 || random.chance(0.5)) return leaf();
  const values = random.list(random.between(0, 3), () => json(depth - 1));
  return random.chance(0.5) ? values : Object.fromEntries(values.map((value) => [characters(), value]));
}

const buffer = (): Buffer => random.bytes(random.between(0, 20));

/** The codecs that keep the boundaries of messages, and a message for each. */
const MESSAGES: { name: string; codec: AnyCodec; message: () => unknown }[] = [
  { name: 'lines()', codec: lines(), message: characters },
  { name: 'jsonLines()', codec: jsonLines(), message: json },
  { name: 'lengthPrefixed()', codec: lengthPrefixed(), message: buffer },
  ...([1, 2, 4] as const).map((size) => ({
    name: `lengthPrefixed(${size}, little)`,
    codec: lengthPrefixed({ bytes: size, endian: 'little' }),
    message: buffer,
  })),
];

for (const { name, codec, message } of MESSAGES) {
  test(`${name}: any messages come back the same, wherever their bytes are split`, () => {
    for (let round = 0; round < 30; round++) {
      const messages = random.list(random.between(0, 6), message);
      for (const chunks of everySplit(encodeAll(codec, messages))) {
        assert.equal(read(codec, chunks), { messages, error: undefined, pending: 0 });
      }
    }
  });

  test(`${name}: pending() is the bytes of the message begun and not finished`, () => {
    const encoded = random.list(8, message).map((each) => encodeAll(codec, [each]));
    const decoder = codec.decoder();
    for (const bytes of encoded) {
      for (let at = 0; at < bytes.length; at++) {
        assert.is(decoder.pending!(), at);
        decode(decoder, bytes.subarray(at, at + 1));
      }
      assert.is(decoder.pending!(), 0);
    }
  });

  test(`${name}: a decoder knows nothing of what another one began`, () => {
    const bytes = encodeAll(codec, [message(), message()]);
    read(codec, [bytes.subarray(0, bytes.length - 1)]);
    assert.equal(read(codec, [bytes]), read(codec, singly(bytes)));
    assert.is(read(codec, [bytes]).messages.length, 2);
  });
}

test('text(): a text comes back the same, wherever its bytes are split, with no character torn', () => {
  for (let round = 0; round < 50; round++) {
    const whole = characters();
    for (const chunks of everySplit(Buffer.from(whole))) {
      const { messages, pending } = read(text(), chunks);
      assert.is(messages.join(''), whole);
      assert.is(pending, 0);
    }
  }
});

test('text(): the first and the last characters of each length come whole, with no empty piece beside them', () => {
  for (const character of ['\0', '\x7f', '\x80', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}']) {
    for (const chunks of everySplit(Buffer.from(character))) {
      assert.equal(read(text(), chunks), { messages: [character], error: undefined, pending: 0 }, inspect(character));
    }
  }
});

test('text(): pending() is the bytes of the character begun and not finished', () => {
  for (const [bytes, pending] of [['61', 0], ['61c3', 1], ['e282', 2], ['f09f98', 3], ['f09f9880', 0]] as const) {
    assert.is(read(text(), [Buffer.from(bytes, 'hex')]).pending, pending, bytes);
  }
});

test('lines(): \\n and \\r\\n both end a line, and only there', () => {
  for (const chunks of everySplit(Buffer.from('a\r\nb\n\r\n\nc\rd\re\r\r\n\r'))) {
    assert.equal(read(lines(), chunks), { messages: ['a', 'b', '', '', 'c\rd\re\r'], error: undefined, pending: 1 });
  }
});

test('writing: lines() adds \\n, text() nothing, lengthPrefixed() its header', () => {
  const bytes = Buffer.from('é!');
  assert.equal(encodeAll(lines(), ['é!']), Buffer.from('é!\n'));
  assert.equal(encodeAll(text(), ['é!']), bytes);
  assert.equal(encodeAll(jsonLines(), ['é!', { a: 1 }]), Buffer.from('"é!"\n{"a":1}\n'));
  for (const message of ['é!', bytes, new Uint8Array(bytes)]) {
    const header = (options: Parameters<typeof lengthPrefixed>[0]): string =>
      encodeAll(lengthPrefixed(options), [message]).toString('hex').slice(0, -bytes.length * 2);
    assert.is(header({}), '00000003');
    assert.is(header({ endian: 'little' }), '03000000');
    assert.is(header({ bytes: 2 }), '0003');
    assert.is(header({ bytes: 1 }), '03');
  }
});

// Bytes at which the rules of UTF-8 turn: lone continuations, overlong forms, surrogates, past the last code point.
const UTF8_EDGES = [0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff];
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

test('lines() and text(): invalid UTF-8 is read as U+FFFD, the same wherever it is split', () => {
  for (let round = 0; round < 200; round++) {
    const bytes = Buffer.concat([random.bytes(random.between(1, 12), UTF8_EDGES), Buffer.from('.\n')]);
    const expected = utf8.decode(bytes);
    for (const chunks of everySplit(bytes)) {
      const again = [...chunks];
      assert.is(read(text(), again).messages.join(''), expected);
      assert.equal(read(lines(), again).messages, [expected.slice(0, -1)]);
    }
  }
});

test('text(): bytes that cannot begin a character are U+FFFD at once, not held back until the link is lost', () => {
  for (const hex of ['c0', 'c1', 'f5', 'ff', 'e080', 'eda0', 'f080', 'f490', 'fe8080']) {
    const bytes = Buffer.from(hex, 'hex');
    assert.equal(read(text(), [bytes]), { messages: [utf8.decode(bytes)], error: undefined, pending: 0 }, hex);
  }
});

/** Streams that a `maxLength` of 4 lets pass, and those that it doesn't: how many messages come before the error. */
const four = { maxLength: 4 };
const LIMITS: { codec: AnyCodec; name: string; passes: (string | Buffer)[]; fails: [stream: string | Buffer, before: number][] }[] = [
  {
    name: 'lines()',
    codec: lines(four),
    passes: ['abcd\n', 'abcd\r\n', 'abc\r\r\n', 'éé\n', '\n\nabcd\nabcd\r\n', 'abcd', 'abcd\r', 'ab\nabcd\r'],
    fails: [['abcde\n', 0], ['abcde', 0], ['abcd\r\r\n', 0], ['abcd\rx', 0], ['éé.\n', 0], ['a\n\nabcde', 2], ['a\r\nabcde\nb\n', 1]],
  },
  {
    name: 'jsonLines()',
    codec: jsonLines(four),
    passes: ['true\n', 'null\r\n', '"é"\n', '1234', '1\n[[]]\n'],
    fails: [['false\n', 0], ['12345', 0], ['1\n"éé"\n', 1]],
  },
  {
    name: 'lengthPrefixed()',
    codec: lengthPrefixed(four),
    passes: [framed(4, 'abcd'), framed(4, 'abc'), framed(0), Buffer.concat([framed(4, 'abcd'), framed(4, 'efgh')])],
    fails: [[framed(5), 0], [framed(0xffffffff), 0], [framed(5, 'abcde'), 0], [Buffer.concat([framed(4, 'abcd'), framed(5)]), 1]],
  },
  {
    name: 'a maxLength of 0',
    codec: lines({ maxLength: 0 }),
    passes: ['\n\r\n\n', '\r'],
    fails: [['a', 0], ['\na\n', 1], ['\r\r', 0]],
  },
];

for (const { name, codec, passes, fails } of LIMITS) {
  test(`${name}: as much as maxLength passes, without terminators and headers, and one byte more does not`, () => {
    for (const stream of passes) {
      const whole = read(codec, [Buffer.from(stream)]);
      for (const chunks of everySplit(Buffer.from(stream))) {
        const reading = read(codec, chunks);
        assert.is(reading.error, undefined, JSON.stringify(stream));
        assert.equal(reading, whole);
      }
    }
    for (const [stream, before] of fails) {
      for (const chunks of everySplit(Buffer.from(stream))) {
        const { messages, error } = read(codec, chunks);
        assert.ok(isCodecError(error), JSON.stringify(stream));
        assert.match(error!.message, 'maxLength');
        assert.is(messages.length, before);
      }
    }
  });
}

test('maxLength is 1 MiB unless told', () => {
  const long = 'x'.repeat(MiB);
  for (const [codec, exactly, more] of [
    [lines(), Buffer.from(`${long}\r\n`), Buffer.from(`${long}x`)],
    [jsonLines(), Buffer.from(`"${long.slice(2)}"\n`), Buffer.from(`"${long.slice(1)}"`)],
    [lengthPrefixed(), framed(MiB, long), framed(MiB + 1)],
  ] as const) {
    assert.is(read(codec, [exactly]).messages.length, 1);
    assert.is(read(codec, [exactly]).error, undefined);
    assert.ok(isCodecError(read(codec, [more]).error));
  }
});

test('messages before a bad one in the same chunk are delivered, those after it are not', () => {
  const tooLong = 'x'.repeat(10);
  for (const [codec, stream, messages] of [
    [lines({ maxLength: 5 }), `one\ntwo\r\n${tooLong}\nfour\n`, ['one', 'two']],
    [jsonLines(), '{"a":1}\n[2]\nthree\n4\n', [{ a: 1 }, [2]]],
    [jsonLines(), '1\n\n2\n', [1]],
    [jsonLines({ maxLength: 5 }), `1\n"2"\n${tooLong}\n4\n`, [1, '2']],
    [lengthPrefixed({ maxLength: 5, bytes: 1 }), '\x03one\x00\x06toobig\x01a', [Buffer.from('one'), Buffer.alloc(0)]],
  ] as const) {
    for (const chunks of everySplit(Buffer.from(stream))) {
      const reading = read(codec, chunks);
      assert.equal(reading.messages, messages);
      assert.ok(isCodecError(reading.error));
    }
  }
});

test('whatever a decoder throws is ERR_RECON_CODEC, after the messages before it', () => {
  const cause = new TypeError('cannot read this');
  const decoder = function* (): Generator<string> {
    yield 'good';
    throw cause;
  };
  const { messages, error } = decode(decoder, Buffer.alloc(1));
  assert.equal(messages, ['good']);
  assert.ok(isCodecError(error));
  assert.is(error!.cause, cause);
});

test('a decoder may use its array again', () => {
  const again: string[] = [];
  const decoder = (chunk: Buffer): string[] => {
    again.length = 0;
    again.push(chunk.toString());
    return again;
  };
  const [first, second] = ['one', 'two'].map((word) => decode(decoder, Buffer.from(word)).messages);
  assert.equal([first, second], [['one'], ['two']]);
});

test('random and hostile bytes are messages or ERR_RECON_CODEC, and no more than maxLength is kept', () => {
  const limit = { maxLength: 50 };
  const codecs = [lines(limit), jsonLines(limit), ...([1, 2, 4] as const).map((size) => lengthPrefixed({ ...limit, bytes: size }))];
  const alphabets = [undefined, UTF8_EDGES, Buffer.from('\n\r\0\x01a'), Buffer.from('[]{}"\\:,1\n\n\n'), Buffer.from([0, 0, 0, 0, 49])];
  for (let round = 0; round < 2_000; round++) {
    const decoder: Decoder<any> = random.oneOf<AnyCodec>(codecs).decoder();
    for (const chunk of random.pieces(random.bytes(random.between(0, 400), random.oneOf(alphabets)))) {
      const { messages, error } = decode(decoder, chunk);
      for (const message of messages) assert.ok((message?.length ?? 0) <= 50);
      assert.ok(error === undefined || isCodecError(error));
      if (error) break;
      assert.ok(decoder.pending!() <= 50 + 4);
    }
  }
});

test('JSON nested too deep for a recursion is a message or ERR_RECON_CODEC, both ways', () => {
  const deep = '['.repeat(MiB / 2);
  for (const line of [`${deep}\n`, `${deep}${deep.replaceAll('[', ']')}\n`]) {
    const { messages, error } = read(jsonLines(), [Buffer.from(line)]);
    assert.ok(messages.length === 1 || isCodecError(error));
    for (const message of messages) assert.throws(() => encode(jsonLines(), message), isCodecError);
  }
});

test('a message of 1 MiB that arrives byte by byte takes no time to speak of', () => {
  const long = 'x'.repeat(MiB - 2);
  for (const [codec, message] of [
    [lines(), long],
    [jsonLines(), long],
    [lengthPrefixed(), Buffer.from(long)],
    [text(), long],
  ] as const) {
    const started = performance.now();
    const { messages, error } = read(codec, singly(encodeAll(codec, [message])));
    assert.ok(performance.now() - started < 5_000);
    assert.is(error, undefined);
    assert.is(messages.map((piece) => piece.length).reduce((sum, length) => sum + length), message.length);
  }
}, 30_000);

test('a line of 50 MB without an end is refused as soon as it is past maxLength, and no more of it is kept', () => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  for (const codec of [lines(), jsonLines()]) {
    const before = process.memoryUsage().arrayBuffers;
    let fed = 0;
    const endless = function* (): Generator<Buffer> {
      for (; fed < 50_000_000; fed += chunk.length) yield chunk;
    };
    const { messages, error } = read(codec, endless());
    assert.ok(isCodecError(error));
    assert.equal(messages, []);
    assert.ok(fed <= MiB + chunk.length, `${fed} bytes were taken`);
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 * MiB);
  }
});

test('an unfinished message holds on to its own bytes, not to the chunk it came with', () => {
  const codecs: AnyCodec[] = [lines(), text(), lengthPrefixed({ bytes: 1 })];
  const bytes = held(() =>
    codecs.flatMap((codec) =>
      random.list(20, () => {
        const decoder: Decoder<unknown> = codec.decoder();
        decode(decoder, Buffer.concat([Buffer.alloc(11 * 5_900, '\n'), Buffer.from([0xe2])]));
        assert.is(decoder.pending!(), 1);
        return decoder;
      }),
    ),
  );
  assert.ok(bytes < MiB, `${bytes} bytes are held`);
});

test('a header that promises much makes nobody set memory aside', () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoder = lengthPrefixed({ maxLength: Infinity }).decoder();
  assert.equal(decode(decoder, framed(0xffffffff, 'abc')), { messages: [] });
  assert.is(decoder.pending!(), 7);
  assert.ok(process.memoryUsage().arrayBuffers - before < MiB);
});

const circle: unknown[] = [];
circle.push(circle);
const REFUSED: [name: string, codec: AnyCodec, message: unknown][] = [
  ['a line with \\n', lines(), 'a\nb'],
  ['a line that ends in \\n', lines(), 'a\n'],
  ['a line with \\r\\n', lines(), 'a\r\nb'],
  ['a line that ends in \\r', lines(), 'a\r'],
  ['undefined as JSON', jsonLines(), undefined],
  ['a function as JSON', jsonLines(), () => {}],
  ['a symbol as JSON', jsonLines(), Symbol('s')],
  ['a BigInt as JSON', jsonLines(), 1n],
  ['a BigInt within JSON', jsonLines(), { a: [1n] }],
  ['a circle as JSON', jsonLines(), circle],
  ['NaN as JSON', jsonLines(), NaN],
  ['Infinity as JSON', jsonLines(), -Infinity],
  ['what toJSON() makes undefined', jsonLines(), { toJSON: () => undefined }],
  ['what toJSON() makes undefined, and no string can show', jsonLines(), Object.assign(Object.create(null), { toJSON: () => undefined })],
  ['what toJSON() throws at', jsonLines(), { toJSON: () => assert.unreachable() }],
  ['256 bytes behind 1', lengthPrefixed({ bytes: 1 }), Buffer.alloc(256)],
  ['256 bytes of UTF-8 behind 1', lengthPrefixed({ bytes: 1 }), 'é'.repeat(128)],
  ['65,536 bytes behind 2', lengthPrefixed({ bytes: 2 }), Buffer.alloc(65_536)],
];

for (const [name, codec, message] of REFUSED) {
  test(`not sent, but refused with ERR_RECON_CODEC: ${name}`, () => {
    assert.throws(() => encode(codec, message), isCodecError);
  });
}

test('the longest message that a header can tell of is sent', () => {
  for (const [size, longest] of [[1, 255], [2, 65_535]] as const) {
    const codec = lengthPrefixed({ bytes: size });
    const message = random.bytes(longest);
    assert.equal(read(codec, [encodeAll(codec, [message])]).messages, [message]);
  }
});

test('a message of the wrong type is refused with a TypeError that shows it', () => {
  for (const codec of [lines(), text(), lengthPrefixed()] as AnyCodec[]) {
    for (const message of [42, null, undefined, ['a'], true, {}]) {
      const isShown = (error: unknown): boolean => error instanceof TypeError && error.message.includes(inspect(message));
      assert.throws(() => encode(codec, message), isShown);
    }
  }
  for (const codec of [lines(), text()] as AnyCodec[]) {
    assert.throws(() => encode(codec, Buffer.from('a')), (error: unknown) => error instanceof TypeError);
  }
});

test('what a codec of the user throws refuses the message: a TypeError as it is, all else as ERR_RECON_CODEC', () => {
  const throwing = (error: unknown): AnyCodec => ({
    decoder: () => () => [],
    encode: () => {
      throw error;
    },
  });
  const wrong = new TypeError('wrong');
  const cause = new Error('no');
  assert.throws(() => encode(throwing(wrong), ''), (error: unknown) => error === wrong);
  assert.throws(() => encode(throwing(cause), ''), (error: any) => isCodecError(error) && error.cause === cause);
  const numbers: AnyCodec = { ...lines(), encode: () => 42 as never };
  assert.throws(() => encode(numbers, ''), (error: any) => error instanceof TypeError && error.message.includes('42'));
});

test('a wrong option of a codec is a TypeError or RangeError that names it and shows its value', () => {
  for (const [make, option, shown] of [
    [() => lines({ maxLength: '5' as never }), 'maxLength', "'5'"],
    [() => lines({ maxLength: null as never }), 'maxLength', 'null'],
    [() => lines({ maxLength: -1 }), 'maxLength', '-1'],
    [() => lines({ maxLength: NaN }), 'maxLength', 'NaN'],
    [() => lines({ maxLenght: 5 } as never), 'maxLenght', '5'],
    [() => lines(null as never), 'options', 'null'],
    [() => lines(5 as never), 'options', '5'],
    [() => jsonLines({ maxLength: -1 }), 'maxLength', '-1'],
    [() => jsonLines({ bytes: 4 } as never), 'bytes', '4'],
    [() => lengthPrefixed({ bytes: 3 as never }), 'bytes', '3'],
    [() => lengthPrefixed({ bytes: '4' as never }), 'bytes', "'4'"],
    [() => lengthPrefixed({ bytes: null as never }), 'bytes', 'null'],
    [() => lengthPrefixed({ endian: 'middle' as never }), 'endian', 'middle'],
    [() => lengthPrefixed({ maxLength: -0.5 }), 'maxLength', '-0.5'],
    [() => lengthPrefixed({ toString: 1 } as never), 'toString', '1'],
  ] as const) {
    assert.throws(make, (error: unknown) => {
      const named = error instanceof TypeError || error instanceof RangeError;
      return named && error.message.includes(option) && error.message.includes(shown);
    });
  }
});

test.run();
