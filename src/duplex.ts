import { Duplex } from 'node:stream';
import { ReconError } from './errors.js';

/** What a stream needs of a connection. */
export interface Streamable<In, Out> extends AsyncIterable<In> {
  readonly closed: Promise<void>;
  readonly bufferedAmount: number;
  once(event: 'drain', listener: () => void): unknown;
  write(message: Out): Promise<void>;
  end(): Promise<void>;
  destroy(error?: unknown): unknown;
}

export interface StreamOptions {
  /** Messages, rather than bytes. */
  readonly objectMode: boolean;
  /** Bytes received and not read. */
  readonly unread: () => number;
}

/** A connection as a Node stream. `node:stream` keeps the backpressure: it reads and writes only as it is asked to. */
export function streamOf<In, Out>(connection: Streamable<In, Out>, { objectMode, unread }: StreamOptions): Duplex {
  const reader = connection[Symbol.asyncIterator]();
  const drained = (): Promise<void> => new Promise((resolve) => connection.once('drain', resolve));

  const stream = new Duplex({
    objectMode,
    // It asks for more only once what it has is taken: a failure must not overtake what was received before it.
    readableHighWaterMark: 1,
    read() {
      reader.next().then(
        ({ done, value }) => {
          if (!done && (value === null || value === undefined)) this.destroy(noNull());
          else this.push(done ? null : value);
        },
        (error: Error) => this.destroy(error),
      );
    },
    write(message: Out, _encoding, callback) {
      // Others fill the buffer, too, and a stream waits for room. What finds none in an empty buffer never will.
      const write = (): Promise<void> => {
        const isEmpty = connection.bufferedAmount === 0;
        return connection.write(message).catch((error: ReconError) => {
          if (error.code !== 'ERR_RECON_BUFFER_FULL' || isEmpty) throw error;
          return connection.bufferedAmount === 0 ? write() : drained().then(write);
        });
      };
      write().then(() => callback(), callback);
    },
    final(callback) {
      connection.end().then(() => callback(), callback);
    },
    destroy(error, callback) {
      // Somebody else reads: that is this stream's failure, not the connection's.
      const reading = error instanceof ReconError && error.code === 'ERR_RECON_READING';
      if (!reading) connection.destroy(error ?? undefined);
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
