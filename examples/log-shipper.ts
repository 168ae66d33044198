// Ships the lines of stdin to a log server, and survives that server's restarts.
//
// Run `nc -lp 5140` and, beside it, `printf 'a\nb\n' | npx tsx examples/log-shipper.ts 127.0.0.1:5140`. While the
// server is away, lines queue up to a bound, and then stdin waits. A line is shipped whole over one link; one that was
// on its way when that link was lost may be lost too, or come twice: only a protocol with acknowledgements can tell.
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'recon';

const MAX_BUFFERED = 8 * 1024 * 1024;
const MAX_LINE = 1024 * 1024;
const PATIENCE = 3_000;

const [address] = process.argv.slice(2);
if (address === undefined) {
  console.error('usage: log-shipper host:port');
  process.exit(2);
}

console.error(`log-shipper: dialling ${address}`);
const conn = await connect(address, { discard: true, maxBufferedAmount: MAX_BUFFERED });
conn.on('drop', () => console.error(`log-shipper: link dropped, redialling; ${conn.bufferedAmount} bytes wait`));
conn.on('reconnect', ({ peer }) => console.error(`log-shipper: connected again to ${peer}`));
process.once('SIGINT', stop).once('SIGTERM', stop);

let flushed = Promise.resolve();
for await (const batch of wholeLines(process.stdin)) {
  // Writes are flushed in order, so that after the last one there is room.
  if (conn.bufferedAmount + batch.length > MAX_BUFFERED) await flushed;
  flushed = conn.write(batch);
}
await conn.end();

/** The lines that each chunk completes, as one piece. A line without end must not fill the memory: it goes in parts. */
async function* wholeLines(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of input) {
    const all = Buffer.concat([rest, chunk]);
    const end = all.lastIndexOf('\n') + 1 || (all.length > MAX_LINE ? all.length : 0);
    if (end > 0) yield all.subarray(0, end);
    rest = all.subarray(end);
  }
  if (rest.length > 0) yield Buffer.concat([rest, Buffer.from('\n')]);
}

/** Takes no more lines, and gives those that wait a little time. */
async function stop(): Promise<void> {
  await Promise.race([conn.end(), sleep(PATIENCE)]);
  if (conn.bufferedAmount > 0) console.error(`log-shipper: gave up with ${conn.bufferedAmount} bytes not shipped`);
  process.exit(conn.bufferedAmount > 0 ? 1 : 0);
}
