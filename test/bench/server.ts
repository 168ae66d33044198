/**
 * The other end, in a process of its own: `server.js <behaviour> [size]`. Tells its port to the parent process.
 *
 * - `discard` reads and forgets.
 * - `echo` sends back what it gets.
 * - `flood` sends chunks of `size` bytes, lines of 64 bytes, as fast as they are taken.
 * - `trickle` sends the same one at a time: the next when the system has taken the last.
 */
import net from 'node:net';
import { HOST } from './contender.js';

const [behaviour = '', size = '0'] = process.argv.slice(2);
const lines = Buffer.from(`${'x'.repeat(63)}\n`.repeat(Number(size) / 64));

/** Chunks that are handed over before the first of them is taken, so that the system never waits for us. */
const AHEAD = 4;

const behaviours: Record<string, (socket: net.Socket) => void> = {
  discard: (socket) => void socket.on('data', () => {}),
  echo: (socket) => void socket.on('data', (chunk) => socket.write(chunk)),
  flood: (socket) => send(socket, AHEAD),
  trickle: (socket) => send(socket, 1),
};

function send(socket: net.Socket, ahead: number): void {
  const next = (error?: Error | null): void => {
    if (!error) socket.write(lines, next);
  };
  for (let count = 0; count < ahead; count++) next();
}

const behave = behaviours[behaviour]!;
const server = net.createServer({ noDelay: true }, (socket) => {
  // A client that has measured enough just goes.
  socket.on('error', () => socket.destroy());
  behave(socket);
});
server.listen(0, HOST, 2_048, () => process.send!((server.address() as net.AddressInfo).port));
// The parent is gone.
process.on('disconnect', () => process.exit());
