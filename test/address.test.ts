import { inspect } from 'node:util';
import * as assert from 'uvu/assert';
import { type Endpoint, parseAddress } from '../src/address.js';
import { suite } from './suite.js';

const test = suite('address');

const READ: [title: string, address: string | URL, endpoint: Endpoint][] = [
  ['digits are a port', '4321', { port: 4321 }],
  ['digits are a port, with zeros before them', '0080', { port: 80 }],
  ['the lowest port', '0', { port: 0 }],
  ['the highest port', '65535', { port: 65_535 }],
  ['a name is a host', 'example.com', { host: 'example.com' }],
  ['an IPv4 address is a host', '127.0.0.1', { host: '127.0.0.1' }],
  ['an IPv6 address is a host', '::1', { host: '::1' }],
  ['the IPv6 address of all', '::', { host: '::' }],
  ['an IPv6 address with digits at its end is a host alone', '2001:db8::4321', { host: '2001:db8::4321' }],
  ['an IPv6 address that ends in an IPv4 one', '::ffff:127.0.0.1', { host: '::ffff:127.0.0.1' }],
  ['an IPv6 address with a zone', 'fe80::1%eth0', { host: 'fe80::1%eth0' }],
  ['a bracketed IPv6 address alone', '[::1]', { host: '::1' }],
  ['[IPv6]:port', '[::1]:4321', { host: '::1', port: 4321 }],
  ['[IPv6 with a zone]:port', '[fe80::1%eth0]:4321', { host: 'fe80::1%eth0', port: 4321 }],
  ['host:port', 'localhost:4321', { host: 'localhost', port: 4321 }],
  ['a host of digits and dots with a port', '10.0.0.1:80', { host: '10.0.0.1', port: 80 }],
  ['a host with an underscore', 'my_service:80', { host: 'my_service', port: 80 }],
  ['tcp://', 'tcp://localhost:4321', { host: 'localhost', port: 4321, tls: false }],
  ['tcp:// and a slash', 'tcp://localhost:4321/', { host: 'localhost', port: 4321, tls: false }],
  ['tcp:// with IPv6', 'tcp://[::1]:4321', { host: '::1', port: 4321, tls: false }],
  ['tls://', 'tls://example.com:443', { host: 'example.com', port: 443, tls: true }],
  ['TLS://', 'TLS://example.com:443', { host: 'example.com', port: 443, tls: true }],
  ['unix:', 'unix:/run/my server.sock', { path: '/run/my server.sock' }],
  ['unix: as it is written', 'unix:/tmp/100%', { path: '/tmp/100%' }],
  ['unix://', 'unix:///run/s.sock', { path: '/run/s.sock' }],
  ['unix: and a relative path', 'unix:s.sock', { path: 's.sock' }],
  ['a URL of tcp:', new URL('tcp://example.com:4321'), { host: 'example.com', port: 4321, tls: false }],
  ['a URL of tls:', new URL('tls://[::1]:4321'), { host: '::1', port: 4321, tls: true }],
  ['a URL of unix:', new URL('unix:/run/my server.sock'), { path: '/run/my server.sock' }],
  ['a URL of unix: that is escaped', new URL('unix:/tmp/100%25'), { path: '/tmp/100%' }],
];

for (const [title, address, endpoint] of READ) {
  test(`read: ${title} (${address})`, () => assert.equal(parseAddress(address), endpoint));
}

const REFUSED: [title: string, address: string | URL][] = [
  ['nothing', ''],
  ['a space', ' '],
  ['a port with a space', '4321 '],
  ['a port with a line break', '4321\n'],
  ['a port past 65535', '65536'],
  ['a port past 65535 behind a host', 'localhost:65536'],
  ['a port past 65535 in tcp://', 'tcp://localhost:70000'],
  ['a port that is no number', 'localhost:http'],
  ['a negative port', 'localhost:-1'],
  ['a port with a fraction', 'localhost:1.5'],
  ['a colon and no port', 'localhost:'],
  ['a port and no host', ':4321'],
  ['tcp:// without a port', 'tcp://localhost'],
  ['tcp:// with a colon and no port', 'tcp://localhost:'],
  ['tls:// without a port', 'tls://localhost'],
  ['tcp:// with IPv6 and no port', 'tcp://[::1]'],
  ['tcp:// with a bare IPv6 address', 'tcp://::1:4321'],
  ['tcp:// without a host', 'tcp://:4321'],
  ['tcp:// and nothing', 'tcp://'],
  ['a slash behind a host', 'localhost/'],
  ['a slash behind host:port', 'localhost:4321/'],
  ['a path behind tcp://', 'tcp://localhost:4321/path'],
  ['a query behind tcp://', 'tcp://localhost:4321?a=b'],
  ['a user name', 'tcp://me@localhost:4321'],
  ['http:', 'http://localhost:4321'],
  ['ws: as a URL', new URL('ws://localhost:4321')],
  ['file: as a URL', new URL('file:///tmp/s.sock')],
  ['tcp: without a port, as a URL', new URL('tcp://localhost')],
  ['unix: and nothing', 'unix:'],
  ['a URL of unix: that cannot be unescaped', new URL('unix:/tmp/100%')],
  ['a path without unix:', '/tmp/s.sock'],
  ['a relative path without unix:', './s.sock'],
  ['an open bracket', '[::1'],
  ['empty brackets', '[]:4321'],
  ['two ports', '10.0.0.1:80:90'],
  ['colons that make no IPv6 address', 'a:b:c'],
];

for (const [title, address] of REFUSED) {
  test(`refused, and shown: ${title} (${inspect(String(address))})`, () => {
    assert.throws(
      () => parseAddress(address),
      (error: unknown) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError);
        const [said = '', got = ''] = error.message.split(/\bgot\b/);
        const port = /\d*$/.exec(String(address))![0];
        return (/address/.test(said) && got.includes(inspect(String(address)))) || (/port/.test(said) && got.includes(`'${port}'`));
      },
    );
  });
}

test.run();
