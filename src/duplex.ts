import { Duplex } from 'node:stream';
import { ReconError } from './errors.js';

/** What a stream needs of a connection. */
export interface Streamable<In> extends AsyncIterable<In> {
  readonly closed: Promise<void>;
  end(): Promise<void>;
  destroy(error?: unknown): unknown;
}

export interface StreamOptions<Out> {
  /** Messages, rather than bytes. */
  readonly objectMode: boolean;
  /** Bytes received and not read. */
  readonly unread: () => number;
  /** Writes a message, whether or not there is room. */
  readonly write: (message: Out) => Promise<void>;
}

/** A connection as a Node stream. `node:stream` keeps the backpressure: it reads and writes only as it is asked to. */
export function streamOf<In, Out>(connection: Streamable<In>, { objectMode, unread, write }: StreamOptions<Out>): Duplex {
  const reader = connection[Symbol.asyncIterator]();
  /** Somebody else reads the connection, or ends it: that is this stream's failure, not the connection's. */
  let refusal: Error | undefined;
  const refused = (error: Error): Error => {
    const isOurs = error instanceof ReconError && (error.code === 'ERR_RECON_READING' || error.code === 'ERR_RECON_CLOSED');
    if (isOurs) refusal = error;
    return error;
  };

  const stream = new Duplex({
    objectMode,
    // It asks for more only once what it has is taken: a failure must not overtake what was received before it.
    readableHighWaterMark: 1,
    // Who waits for `drain` has all that he wrote in the connection's queue, where `end()` and other writes find it.
    writableHighWaterMark: 1,
    read() {
      reader.next().then(
        ({ done, value }) => {
          if (!done && (value === null || value === undefined)) this.destroy(noNull());
          else this.push(done ? null : value);
        },
        (error: Error) => this.destroy(refused(error)),
      );
    },
    write(message: Out, _encoding, callback) {
      write(message).then(() => callback(), (error: Error) => callback(refused(error)));
    },
    final(callback) {
      connection.end().then(() => callback(), callback);
    },
    destroy(error, callback) {
      if (error === null || error !== refusal) connection.destroy(error ?? undefined);
      void reader.return?.();
      callback(error);
    },
  });

  const onClosed = (error?: Error): void => {
    const isRead = stream.readableFlowing !== null || unread() > 0;
    if (isRead) {
      // The reader finds the error, or the end, after all that was received. But Node closes a stream only when its writable
      // side has ended, too.
      if (error || stream.writableEnded) return;
      if (stream.readableEnded) stream.destroy();
      else stream.once('end', () => stream.destroy());
    } else if (!error && stream.writableEnded && !stream.writableFinished) {
      stream.once('finish', () => stream.destroy());
    } else stream.destroy(error);
  };
  connection.closed.then(() => onClosed(), onClosed);
  return stream;
}

const noNull = (): ReconError =>
  new ReconError('ERR_RECON_CODEC', 'the peer sent null, which a Node stream takes for its end: iterate the connection instead');
