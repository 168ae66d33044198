// Prints what a server says, and goes on when the server comes back.
//
// Run `nc -lp 4321` and, beside it, `npm run stayin-alive -- 4321`. Type into nc, kill it, start it again, type on.
import { connect } from 'recon';

const address = process.argv[2] ?? 4321;
console.error(`dialling ${address}`);
const conn = await connect(address, (link) => console.error(`connected to ${link.peer}`));
conn.on('drop', () => console.error('link dropped, redialling'));
for await (const chunk of conn) console.log(chunk.toString().trim());
