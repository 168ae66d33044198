import { once } from 'node:events';
import tls from 'node:tls';
import { connect, type Link } from 'recon';
import * as assert from 'uvu/assert';
import { Authority } from './certificates.js';
import { quick, readText } from './helpers.js';
import { suite } from './suite.js';
import { TlsPeer } from './tls-peer.js';

const test = suite('dial');

for (const event of ['connect', 'secureConnect']) {
  test(`a socket of TLS that dial brings after its '${event}' is used once its handshake is done`, async () => {
    const authority = new Authority();
    await using peer = await TlsPeer.start({ ...authority.issue(), echo: true });
    const dial = async (): Promise<tls.TLSSocket> => {
      const socket = tls.connect({ port: peer.port, host: '127.0.0.1', servername: 'localhost', ca: authority.cert });
      await once(socket, event);
      return socket;
    };
    const authorized: boolean[] = [];
    const onLink = ({ socket }: Link): void => void authorized.push((socket as tls.TLSSocket).authorized);
    await using conn = await connect({ ...quick, dial, onLink });
    assert.equal(authorized, [true]);
    await conn.write('ping');
    assert.is(await readText(conn, (text) => text.length === 4), 'ping');
  });
}

test.run();
