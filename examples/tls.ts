// A netcat over TLS that outlives the server: sends what it reads on stdin, prints what the server says. The server's
// certificate is verified, against an authority of one's own if a file is given.
//
// Make a certificate that is its own authority, and run a server:
//   openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost
//   openssl s_server -accept 8443 -key key.pem -cert cert.pem -quiet
// and, beside it, `npx tsx examples/tls.ts localhost:8443 cert.pem`. Type on both sides, kill the server, start it again.
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { TLSSocket } from 'node:tls';
import { connect } from 'recon';

const [address, caFile] = process.argv.slice(2);
if (address === undefined) {
  console.error('usage: tls host:port [ca.pem]');
  process.exit(2);
}

console.error(`dialling ${address}`);
const conn = await connect(address, {
  tls: caFile === undefined ? true : { ca: await readFile(caFile) },
  onLink: ({ peer, socket }) => {
    if (socket instanceof TLSSocket) console.error(`connected to ${peer}, ${socket.getProtocol()}`);
  },
});
conn.on('drop', () => console.error('link dropped, redialling'));
await pipeline(process.stdin, conn.stream(), process.stdout);
