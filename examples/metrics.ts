// Sends a program's metrics to Graphite (https://graphite.readthedocs.io, the plaintext protocol), whatever becomes of the
// server, and never at the program's expense: nothing waits for a metric. While the server is away they queue up to a
// bound, each with its time; beyond it the newest are dropped, and counted.
//
// Run `nc -lkp 2003` and, beside it, `npx tsx examples/metrics.ts 127.0.0.1:2003`; kill nc, start it again. To see the
// buffer full soon, say how many milliseconds are between two rounds, and how many bytes it holds: `… 100 1000`.
import { hostname } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { connect, type Connection, lines } from 'recon';

const [address, interval = '1000', maxBufferedAmount = '1048576'] = process.argv.slice(2);
if (address === undefined) {
  console.error('usage: metrics host:port [milliseconds] [bytes]');
  process.exit(2);
}

const prefix = `${hostname().replaceAll('.', '_')}.node`;
let conn: Connection<string, string> | undefined;
let dropped = 0;

/** Says what a metric is now. Returns at once, whether or not anybody hears it. */
function gauge(name: string, value: number): void {
  const line = `${prefix}.${name} ${value} ${Math.floor(Date.now() / 1000)}`;
  if (conn) conn.write(line).catch(drop);
  else drop();
}

function drop(): void {
  if (dropped === 0) console.error(`metrics: ${conn ? 'the buffer is full' : 'not connected yet'}, dropping`);
  dropped += 1;
}

function report(): void {
  if (dropped > 0) console.error(`metrics: ${dropped} dropped`);
  dropped = 0;
}

// The program goes on while it is being connected. A server that takes nothing any more is as good as none.
void connect(address, {
  codec: lines(),
  discard: true,
  maxBufferedAmount: Number(maxBufferedAmount),
  writeTimeout: 30_000,
  onLink: ({ peer }) => console.error(`metrics: connected to ${peer}`),
}).then((connection) => {
  conn = connection.on('drain', report).on('drop', () => console.error('metrics: link dropped'));
  report();
});

// Here would be the program. This one only watches itself.
const delay = monitorEventLoopDelay();
delay.enable();
setInterval(() => {
  gauge('uptime_ms', Math.round(performance.now()));
  gauge('heap_used', process.memoryUsage().heapUsed);
  gauge('event_loop_delay_ms', delay.max / 1e6);
  delay.reset();
}, Number(interval));
