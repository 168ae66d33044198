// The NATS client protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol) as a codec, and its
// handshake: for nats.ts and failover.ts, which are to be run.
import type { Codec, Link } from 'recon';

/** One operation of the server's: its default `max_payload`, 1 MiB, and room for the line before it. */
const MAX_OPERATION = 1024 * 1024 + 64 * 1024;

/** What the server says. */
export type ServerOperation =
  | { op: 'INFO'; info: ServerInfo }
  | { op: 'MSG'; subject: string; sid: string; replyTo: string | undefined; payload: Buffer }
  | { op: '-ERR'; error: string }
  | { op: 'PING' | 'PONG' | '+OK' };

/** A part of what INFO tells. */
export interface ServerInfo {
  server_name: string;
  /** Lame duck mode: the server is about to shut down, and asks its clients to leave. */
  ldm?: boolean;
}

/** What a client says. */
export type ClientOperation =
  | { op: 'CONNECT'; options: object }
  | { op: 'SUB'; subject: string; sid: string }
  | { op: 'PUB'; subject: string; payload: string | Uint8Array }
  | { op: 'PING' | 'PONG' };

export const nats: Codec<ServerOperation, ClientOperation> = {
  decoder() {
    let rest = Buffer.alloc(0);
    const decode = function* (chunk: Buffer): Generator<ServerOperation> {
      rest = Buffer.concat([rest, chunk]);
      for (let parsed = parse(rest); parsed; parsed = parse(rest)) {
        rest = rest.subarray(parsed.end);
        yield parsed.operation;
      }
      if (rest.length > MAX_OPERATION) throw new Error(`an operation of more than ${MAX_OPERATION} bytes`);
    };
    return Object.assign(decode, { pending: () => rest.length });
  },
  encode(operation) {
    switch (operation.op) {
      case 'CONNECT':
        return `CONNECT ${JSON.stringify(operation.options)}\r\n`;
      case 'SUB':
        return `SUB ${checked(operation.subject)} ${checked(operation.sid)}\r\n`;
      case 'PUB': {
        const { subject, payload } = operation;
        const head = `PUB ${checked(subject)} ${Buffer.byteLength(payload)}\r\n`;
        return Buffer.concat([Buffer.from(head), Buffer.from(payload), Buffer.from('\r\n')]);
      }
      default:
        return `${operation.op}\r\n`;
    }
  },
};

/** The first operation, and where it ends; nothing, while it is not all there. */
function parse(bytes: Buffer): { operation: ServerOperation; end: number } | undefined {
  const eol = bytes.indexOf('\r\n');
  if (eol === -1) return undefined;
  const line = bytes.toString('utf8', 0, eol).trim();
  const end = eol + 2;
  const [op = '', ...words] = line.split(/\s+/);
  switch (op) {
    case 'PING':
    case 'PONG':
    case '+OK':
      return { operation: { op }, end };
    case '-ERR':
      return { operation: { op, error: line.slice(op.length).trim() }, end };
    case 'INFO':
      return { operation: { op, info: JSON.parse(line.slice(op.length)) as ServerInfo }, end };
    case 'MSG': {
      const size = Number(words.pop());
      const [subject, sid, replyTo] = words;
      if (subject === undefined || sid === undefined || !Number.isSafeInteger(size) || size < 0) break;
      if (bytes.length < end + size + 2) return undefined;
      return { operation: { op, subject, sid, replyTo, payload: bytes.subarray(end, end + size) }, end: end + size + 2 };
    }
  }
  throw new Error(`no operation of NATS: ${line.slice(0, 80)}`);
}

/** A word with a space in it would be read as two. */
function checked(word: string): string {
  if (!/^\S+$/.test(word)) throw new Error(`no subject or id of NATS: "${word}"`);
  return word;
}

/** Introduces the client, and fails if the server doesn't want it. To be awaited in `onLink`. */
export async function handshake(link: Link<ServerOperation, ClientOperation>, name: string): Promise<void> {
  await link.write({ op: 'CONNECT', options: { name, lang: 'node', version: '1.0.0', verbose: false, pedantic: false, protocol: 1 } });
  await link.write({ op: 'PING' });
  // INFO comes first, and may come again before the answer.
  for (let answer = await link.read(); answer.op !== 'PONG'; answer = await link.read()) {
    if (answer.op === '-ERR') throw new Error(answer.error);
  }
}
