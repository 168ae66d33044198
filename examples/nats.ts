// Prints what is published on a NATS subject, and subscribes again on every link.
//
// Run `nats-server` and, beside it, `npx tsx examples/nats.ts 127.0.0.1:4222 'weather.>'`; then publish with
// `printf 'CONNECT {}\r\nPUB weather.rome 5\r\nsunny\r\n' | nc -q1 127.0.0.1 4222`, kill the server, start it again, publish
// on. NATS keeps nothing of what it publishes: what comes while no link is up is missed.
import { connect } from 'recon';
import { handshake, nats } from './nats-protocol.js';

const [address, subject] = process.argv.slice(2);
if (address === undefined || subject === undefined) {
  console.error('usage: nats host:port subject');
  process.exit(2);
}

const conn = await connect(address, {
  codec: nats,
  heartbeat: { interval: 10_000, message: { op: 'PING' } },
  idleTimeout: 30_000,
  retry: { onFailedAttempt: ({ error }) => console.error(`not connected: ${error.message}`) },
  onLink: async (link) => {
    await handshake(link, 'nats.ts');
    await link.write({ op: 'SUB', subject, sid: '1' });
    console.error(`subscribed at ${link.peer}`);
  },
});
conn.on('drop', () => console.error('link dropped'));

// Link by link, because a PONG belongs to the link that brought the PING.
for await (const link of conn.links()) {
  for await (const message of link) {
    if (message.op === 'MSG') console.log(`${message.subject}: ${message.payload}`);
    else if (message.op === 'PING') void link.write({ op: 'PONG' });
    else if (message.op === '-ERR') console.error(message.error);
  }
}
