// The life of one connection, told as it happens. It needs no server of yours: it runs one, kills it, keeps it away and
// starts it again on the same port, while one loop goes on reading and writes queue up.
//
// Run `npm run demo`. It ends by itself after some nine seconds, with exit code 1 if anything got lost or out of order.
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { connect, lines } from 'recon';

const HOST = '127.0.0.1';
const MENU = ['espresso', 'cappuccino', 'ristretto', 'flat white', 'macchiato'];

const [DIM, RED, GREEN, YELLOW, CYAN] = [2, 31, 32, 33, 36];
const coloured = process.stdout.isTTY && process.stdout.hasColors();
const paint = (colour: number, text: string): string => (coloured ? `\x1b[${colour}m${text}\x1b[0m` : text);

/** Prints one line of the timeline. */
function tell(who: 'client' | 'server', colour: number, event: string, details: string): void {
  const seconds = (performance.now() / 1000 - started).toFixed(2).padStart(5);
  console.log(`${paint(DIM, `${seconds} s`)}  ${who}  ${paint(colour, event.padEnd(12))}  ${details}`);
}

console.log('One connection, and a server that comes and goes.\n');
const started = performance.now() / 1000;
setTimeout(() => {
  console.log('\nThe demo hangs: something that had to come has not.');
  process.exit(1);
}, 15_000).unref();

// The server takes orders, and says of each that it is ready. What it took it remembers, link by link.
const taken: string[][] = [];
const links = new Set<net.Socket>();
const ready = (order: string): string => `${order} is ready`;
const server = net.createServer((link) => {
  const decode = lines().decoder();
  const orders: string[] = [];
  taken.push(orders);
  links.add(link);
  link.on('error', () => {});
  link.on('close', () => links.delete(link));
  link.on('data', (chunk: Buffer) => {
    for (const order of decode(chunk)) {
      orders.push(order);
      link.write(`${ready(order)}\n`);
    }
  });
});
await once(server.listen(0, HOST), 'listening');
const { port } = server.address() as net.AddressInfo;
tell('server', CYAN, 'listening', `on ${HOST}:${port}`);

// Links are short here. With the usual minUptime, 5 s, each of them would count as one more failed attempt.
const conn = await connect(port, HOST, { codec: lines(), minUptime: 200, retry: { maxTimeout: 1_000 } });
const why = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);
conn.on('connect', (link) => tell('client', GREEN, 'connected', `link ${link.number} to ${link.peer}`));
conn.on('reconnect', (link) => tell('client', GREEN, 'reconnected', `link ${link.number} to ${link.peer}`));
conn.on('drop', ({ link, reason }) =>
  tell('client', RED, 'link dropped', `link ${link.number}: ${reason ? why(reason) : 'the server said goodbye (FIN)'}`),
);
conn.on('retry', ({ delay, error }) => tell('client', YELLOW, 'retry', `in ${delay.toFixed()} ms (${why(error)})`));
conn.on('drain', () => tell('client', GREEN, 'flushed', `the backlog (drain), bufferedAmount ${conn.bufferedAmount}`));

const received: string[] = [];
async function read(): Promise<void> {
  for await (const line of conn) {
    received.push(line);
    tell('client', CYAN, 'received', line);
  }
}

const written: string[] = [];
let queued = 0;
async function write(count: number, pause: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const order = `order ${written.length + 1}: ${MENU[written.length % MENU.length]}`;
    const up = conn.readyState === 'open';
    // Its promise settles when the order is flushed: later, with the server away. The next one doesn't wait for that.
    void conn.write(order);
    written.push(order);
    if (up) tell('client', DIM, 'written', order);
    else tell('client', YELLOW, 'queued', `${order}, bufferedAmount ${conn.bufferedAmount}`);
    if (!up) queued += 1;
    await sleep(pause);
  }
}

/** The server goes, and comes back when some orders have queued up. */
async function outage(how: string, hangUp: (link: net.Socket) => void, orders: number, pause: number): Promise<void> {
  // Flushed is not yet received: an order that is still on its way when its link is cut would be lost.
  while (received.length < written.length) await sleep(10);
  console.log();
  const dropped = once(conn, 'drop');
  const closed = once(server, 'close');
  tell('server', RED, 'gone', how);
  server.close();
  links.forEach(hangUp);
  await Promise.all([dropped, closed]);
  await write(orders, pause);

  const reconnected = once(conn, 'reconnect');
  server.listen(port, HOST);
  tell('server', CYAN, 'listening', `again, with ${taken.flat().length} of ${written.length} orders taken`);
  await reconnected;
  await sleep(300);
}

const reading = read();
await sleep(200);
await write(2, 250);
await outage('with a goodbye (FIN)', (link) => link.end(), 3, 250);
await write(2, 250);
await outage('with a reset (RST)', (link) => link.resetAndDestroy(), 3, 250);
await write(2, 250);
await outage('and stays away for longer', (link) => link.destroy(), 4, 700);
await write(1, 250);
await conn.end();
await reading;
tell('client', GREEN, 'ended', 'all flushed, both said goodbye, the loop is done');
server.close();

const numbers = (orders: string[]): string => orders.map((order) => /\d+/.exec(order)).join(' ');
const complete = isDeepStrictEqual(taken.flat(), written) && isDeepStrictEqual(received, written.map(ready));
console.log(`
written   ${written.length} orders, ${queued} of them with the server away
taken     ${taken.flat().length} orders, link by link: ${taken.map(numbers).join(' | ')}
received  ${received.length} answers
`);
console.log(
  complete
    ? paint(GREEN, 'Nothing was lost, nothing came twice, and all of it in order.')
    : paint(RED, 'Something was lost, came twice or came out of order.'),
);
process.exitCode = complete ? 0 : 1;
