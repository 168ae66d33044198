// Prints what is published on Redis channels, and subscribes again on every link.
//
// Run `redis-server` and, beside it, `npx tsx examples/redis-subscribe.ts 127.0.0.1:6379 news`; then publish with
// `redis-cli publish news hello`, kill the server, start it again, publish on. Redis keeps nothing of what it publishes:
// what comes while no link is up is missed.
import { type Codec, connect } from 'recon';

const MAX_REPLY = 4 * 1024 * 1024;

type Reply = string | number | null | Error | Reply[];

/** The Redis serialization protocol, RESP2: commands go out as arrays of strings, replies come in. */
const resp: Codec<Reply, readonly string[]> = {
  decoder() {
    let rest = Buffer.alloc(0);
    const decode = function* (chunk: Buffer): Generator<Reply> {
      rest = Buffer.concat([rest, chunk]);
      for (let parsed = parse(rest, 0); parsed; parsed = parse(rest, 0)) {
        rest = rest.subarray(parsed.end);
        yield parsed.reply;
      }
      if (rest.length > MAX_REPLY) throw new Error(`a reply of more than ${MAX_REPLY} bytes`);
    };
    return Object.assign(decode, { pending: () => rest.length });
  },
  encode: (command) =>
    [`*${command.length}`, ...command.flatMap((word) => [`$${Buffer.byteLength(word)}`, word]), ''].join('\r\n'),
};

/** The reply that begins at `start`, and where it ends; nothing, while it is not all there. */
function parse(bytes: Buffer, start: number): { reply: Reply; end: number } | undefined {
  const eol = bytes.indexOf('\r\n', start);
  if (eol === -1) return undefined;
  const [type = '', value] = [bytes.toString('latin1', start, start + 1), bytes.toString('utf8', start + 1, eol)];
  let end = eol + 2;
  if (type === '+') return { reply: value, end };
  if (type === '-') return { reply: new Error(value), end };
  if (!/^[:$*]$/.test(type) || !/^-?\d+$/.test(value)) throw new Error(`no RESP: ${type}${value.slice(0, 80)}`);

  const number = Number(value);
  if (type === ':') return { reply: number, end };
  if (number < 0) return { reply: null, end };
  if (type === '$') {
    if (bytes.length < end + number + 2) return undefined;
    return { reply: bytes.toString('utf8', end, end + number), end: end + number + 2 };
  }
  const items: Reply[] = [];
  while (items.length < number) {
    const item = parse(bytes, end);
    if (!item) return undefined;
    items.push(item.reply);
    end = item.end;
  }
  return { reply: items, end };
}

const [address, ...channels] = process.argv.slice(2);
if (address === undefined || channels.length === 0) {
  console.error('usage: redis-subscribe host:port channel...');
  process.exit(2);
}

const conn = await connect(address, {
  codec: resp,
  heartbeat: { interval: 10_000, message: ['PING'] },
  idleTimeout: 30_000,
  retry: { onFailedAttempt: ({ error }) => console.error(`not connected: ${error.message}`) },
  onLink: async (link) => {
    await link.write(['SUBSCRIBE', ...channels]);
    // One confirmation for each channel comes before any message.
    for (const _ of channels) {
      const reply = await link.read();
      if (reply instanceof Error) throw reply;
    }
    console.error(`subscribed at ${link.peer}`);
  },
});
conn.on('drop', () => console.error('link dropped'));

for await (const reply of conn) {
  const [type, channel, message] = Array.isArray(reply) ? reply : [];
  if (type === 'message') console.log(`${channel}: ${message}`);
}
