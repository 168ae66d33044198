import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** What is written is handed on in pieces of this size, one a turn, so that it can be cut in the middle. */
const PIECE = 4 * 1024;

/** A transport of somebody's own making: a stream of bytes over a socket, which shows nothing else of it. */
export class Tunnel extends Duplex {
  readonly #socket: Socket;
  /** Bytes written that the system has taken. */
  taken = 0;
  /** The socket's own port. */
  readonly localPort: number | undefined;

  /** @param socket - connected, and left to the tunnel */
  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    this.localPort = socket.localPort;
    socket.on('data', (chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const piece = chunk.subarray(0, PIECE);
    const rest = chunk.subarray(PIECE);
    this.#socket.write(piece, (error) => {
      if (!error) this.taken += piece.length;
      if (error || rest.length === 0) callback(error);
      else setImmediate(() => this._write(rest, encoding, callback));
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.destroy();
    callback(error);
  }
}
