import { type KeyObject, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its key, as `tls.createServer()` takes them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Host names and IP addresses it is good for. */
  names?: readonly string[];
  from?: Date;
  until?: Date;
}

const DAY = 24 * 60 * 60 * 1000;

/**
 * A certificate authority of the tests' own, made with `node:crypto` alone: just enough DER (X.690) to write an X.509
 * certificate (RFC 5280), so that no test depends on a program that may be missing.
 */
export class Authority implements Certificate {
  readonly cert: string;
  readonly key: string;
  readonly #name: string;
  readonly #privateKey: KeyObject;

  constructor(name = 'the authority of the tests') {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    this.#name = name;
    this.#privateKey = privateKey;
    this.key = pem(privateKey);
    const isAuthority = extension([0x55, 0x1d, 0x13], sequence(der(0x01, Buffer.from([0xff]))), true);
    this.cert = this.#certify(name, publicKey, [isAuthority], {});
  }

  /** A certificate that this authority vouches for. */
  issue(options: CertificateOptions = {}): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const { names = ['localhost', '127.0.0.1', '::1'] } = options;
    const isFor = extension([0x55, 0x1d, 0x11], sequence(...names.map(alternativeName)));
    return { cert: this.#certify(names[0] ?? 'nobody', publicKey, [isFor], options), key: pem(privateKey) };
  }

  #certify(subject: string, publicKey: KeyObject, extensions: Buffer[], { from, until }: CertificateOptions): string {
    const now = Date.now();
    const body = sequence(
      der(0xa0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      ECDSA_WITH_SHA256,
      nameOf(this.#name),
      sequence(time(from ?? new Date(now - DAY)), time(until ?? new Date(now + DAY))),
      nameOf(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(...extensions)),
    );
    const signed = sequence(body, ECDSA_WITH_SHA256, bits(sign('sha256', body, this.#privateKey)));
    const lines = signed.toString('base64').match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }
}

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
const integer = (bytes: Buffer): Buffer => der(0x02, bytes);
const bits = (bytes: Buffer): Buffer => der(0x03, Buffer.from([0]), bytes);
const oid = (bytes: readonly number[]): Buffer => der(0x06, Buffer.from(bytes));
const ECDSA_WITH_SHA256 = sequence(oid([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));

const extension = (id: readonly number[], content: Buffer, critical = false): Buffer =>
  sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, content));

/** A common name alone. */
const nameOf = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid([0x55, 0x04, 0x03]), der(0x0c, Buffer.from(name)))));

const time = (date: Date): Buffer => der(0x18, Buffer.from(`${date.toISOString().replace(/\D/g, '').slice(0, 14)}Z`));

/** As DNS name or IP address; of IPv6, `::1` is all that the tests need. */
function alternativeName(name: string): Buffer {
  if (isIP(name) === 4) return der(0x87, Buffer.from(name.split('.').map(Number)));
  if (name === '::1') return der(0x87, Buffer.from([...new Array<number>(15).fill(0), 1]));
  return der(0x82, Buffer.from(name));
}
