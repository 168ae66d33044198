// What a strict consumer's code is to the compiler. It is never run: `npm run check` compiles it against the source, and
// test/package.test.ts against the packed declarations.
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import {
  AbortError,
  type Codec,
  type Connection,
  connect,
  type ConnectOptions,
  jsonLines,
  lengthPrefixed,
  type Link,
  lines,
  ReconError,
  text,
} from 'recon';

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

export async function consumer(): Promise<void> {
  const raw = await connect(4321);
  same<typeof raw, Connection<Buffer, string | Uint8Array>>(true);
  for await (const chunk of raw) same<typeof chunk, Buffer>(true);
  await raw.write('text');
  await raw.write(new Uint8Array(1), { signal: AbortSignal.timeout(1) });

  const conn = await connect(4321, { codec: lines() });
  same<typeof conn, Connection<string, string>>(true);
  for await (const line of conn) same<typeof line, string>(true);
  for await (const batch of conn.batches()) same<typeof batch, string[]>(true);
  for await (const link of conn.links()) for await (const line of link) same<typeof line, string>(true);
  // @ts-expect-error a number is no line
  await conn.write(42);

  conn.on('connect', (link) => same<typeof link, Link<string, string>>(true));
  conn.on('drop', ({ link, reason, discarded }) => [link.number, reason?.code, discarded.toFixed()]);
  conn.once('retry', ({ attempt, error, delay }) => [attempt.toFixed(), error.code, delay.toFixed()]);
  // @ts-expect-error there is no such event
  conn.on('conect', () => {});
  await once(conn, 'drain');

  const json = await connect(4321, 'localhost', async (link) => same<Awaited<ReturnType<typeof link.read>>, { id: number }>(true), {
    codec: jsonLines<{ id: number }>(),
  });
  await json.write({ id: 1 });
  // @ts-expect-error not a message of this connection
  await json.write({ name: 'x' });

  const frames = await connect('tls://localhost:1', { codec: lengthPrefixed({ bytes: 2 }) });
  for await (const frame of frames) same<typeof frame, Buffer>(true);
  const pieces = await connect({ port: 1, codec: text(), onLink: async (link) => (await link.read()).length });
  for await (const piece of pieces) same<typeof piece, string>(true);

  const numbers: Codec<number, bigint> = { decoder: () => (chunk) => chunk, encode: (value) => value.toString() };
  same<Awaited<ReturnType<typeof connectNumbers>>, Connection<number, bigint>>(true);
  function connectNumbers() {
    return connect({ path: '/tmp/socket', codec: numbers });
  }

  const beating = await connect(4321, { heartbeat: { interval: 1_000, message: 'PING' } });
  same<typeof beating, Connection<Buffer, string | Uint8Array>>(true);
  await connect(4321, (link) => link.socket.setNoDelay(false).remoteAddress?.length);
  await connect({ port: 4321, host: process.env['HOST'], signal: undefined, tls: undefined, retry: { retries: undefined } });
  lines({ maxLength: undefined });
  lengthPrefixed({ bytes: undefined, endian: undefined });

  const options: ConnectOptions = { retry: { retries: 3, shouldRetry: ({ error }) => !(error instanceof AbortError) } };
  await connect(options);

  await using scoped = await connect(new URL('tcp://localhost:1'));
  await pipeline(process.stdin, scoped.stream(), process.stdout);
  scoped.closed.catch((error: unknown) => error instanceof ReconError && error.code === 'ERR_RECON_CLOSED');
}

/** Mistakes of the first five minutes, which the compiler finds. */
export async function mistakes(): Promise<void> {
  // @ts-expect-error a typo in an option
  await connect(4321, { higWaterMark: 1 });
  // @ts-expect-error the same, with a host before it
  await connect(4321, 'localhost', { maxbufferedamount: 1 });
  // @ts-expect-error the same, with onLink before it
  await connect(4321, (link) => void link.socket, { idletimeout: 1 });
  // @ts-expect-error the same, without an address before it
  await connect({ port: 4321, higWaterMark: 1 });
  // @ts-expect-error a part of a URL is no option
  await connect({ port: 4321, hostname: 'localhost' });
  // @ts-expect-error nor is a part of a function
  await connect({ port: 4321, name: 'localhost' });
  // @ts-expect-error a typo in an option of p-retry
  await connect(4321, { retry: { retrys: 1 } });
  // @ts-expect-error an option of p-retry at the top
  await connect(4321, { retries: 1 });
  // @ts-expect-error an option of net.Socket
  await connect(4321, { timeout: 1_000 });
  // @ts-expect-error a typo in an endpoint
  await connect({ endpoints: [{ prot: 4321 }] });
  // @ts-expect-error a typo in an option of tls.connect
  await connect(4321, { tls: { rejectUnauthorised: true } });
  // @ts-expect-error a typo in a heartbeat
  await connect(4321, { heartbeat: { intervall: 1_000, message: 'PING' } });
  // @ts-expect-error a heartbeat that is no message of the codec
  await connect(4321, { codec: lines(), heartbeat: { interval: 1_000, message: Buffer.from('PING') } });
  // @ts-expect-error a typo in an option of a codec
  await connect(4321, { codec: lines({ maxlength: 80 }) });
  // @ts-expect-error a codec that was not called
  await connect(4321, { codec: lines });
  // @ts-expect-error of another type
  await connect(4321, { discard: 'yes' });
  // @ts-expect-error a number of retries, rather than options
  await connect(4321, { retry: 5 });
  // @ts-expect-error neither of the two
  await connect(4321, { unflushed: 'drop' });
  // @ts-expect-error the controller, rather than its signal
  await connect(4321, { signal: new AbortController() });
  // @ts-expect-error null is no port
  await connect(null);
  // @ts-expect-error a dial that brings nothing
  await connect({ dial: () => {} });

  // @ts-expect-error a connection that was not awaited has nothing to write to
  void connect(4321).write('hello');
  // @ts-expect-error nor anything to read
  for await (const chunk of connect(4321)) void chunk;

  const conn = await connect(4321);
  // @ts-expect-error an object, without a codec
  await conn.write({ hello: 'world' });
  // @ts-expect-error nothing
  await conn.write();
  // @ts-expect-error a typo in an option of write()
  await conn.write('hello', { signl: AbortSignal.timeout(1) });
  // @ts-expect-error an event of net.Socket: one reads by iterating
  conn.on('data', () => {});
  // @ts-expect-error a method of net.Socket: conn.stream() has it
  conn.pipe(process.stdout);
}
