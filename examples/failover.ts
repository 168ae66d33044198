// Prints what is published on a NATS subject, through whichever node of a cluster is up.
//
// Run three nodes, each with the route to the first:
//   nats-server -p 4222 --cluster nats://127.0.0.1:6222 --cluster_name demo
//   nats-server -p 4223 --cluster nats://127.0.0.1:6223 --cluster_name demo --routes nats://127.0.0.1:6222
//   nats-server -p 4224 --cluster nats://127.0.0.1:6224 --cluster_name demo --routes nats://127.0.0.1:6222
// and, beside them, `npx tsx examples/failover.ts weather 127.0.0.1:4222 127.0.0.1:4223 127.0.0.1:4224`. Kill the node in
// use, and publish through another (see nats.ts). A node that hangs is left as well, and so is one that says it will go.
import { connect } from 'recon';
import { handshake, nats } from './nats-protocol.js';

const [subject, ...endpoints] = process.argv.slice(2);
if (subject === undefined || endpoints.length === 0) {
  console.error('usage: failover subject host:port...');
  process.exit(2);
}

// Where another node is ready, there is no use in being patient with this one.
const conn = await connect({
  endpoints,
  codec: nats,
  connectTimeout: 2_000,
  heartbeat: { interval: 1_000, message: { op: 'PING' } },
  idleTimeout: 3_000,
  retry: { maxTimeout: 1_000, onFailedAttempt: ({ error }) => console.error(`not connected: ${error.message}`) },
  onLink: async (link) => {
    await handshake(link, 'failover.ts');
    await link.write({ op: 'SUB', subject, sid: '1' });
    console.error(`subscribed at ${link.peer}`);
  },
});
conn.on('drop', ({ link, reason }) => console.error(`link to ${link.peer} dropped: ${reason?.message ?? 'it said goodbye'}`));

for await (const link of conn.links()) {
  for await (const message of link) {
    if (message.op === 'MSG') console.log(`${message.subject}: ${message.payload}`);
    else if (message.op === 'PING') void link.write({ op: 'PONG' });
    else if (message.op === '-ERR') console.error(message.error);
    else if (message.op === 'INFO' && message.info.ldm) void conn.reconnect();
  }
}
