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
  /** Queues a message, whether or not there is room; throws if it can't be sent. */
  readonly write: (message: Out) => Promise<void>;
}

/** A connection's stream, and how the connection keeps what is written to either in order. */
export interface StreamView {
  readonly stream: Duplex;
  /** Queues what was written to the stream and is still in the stream's own buffer. */
  flush(): void;
}

/** A connection as a Node stream. `node:stream` keeps the backpressure: it reads and writes only as it is asked to. */
export function streamOf<In, Out>(connection: Streamable<In>, { objectMode, unread, write }: StreamOptions<Out>): StreamView {
  const reader = connection[Symbol.asyncIterator]();
  /** Somebody else reads the connection, or ends it: that is this stream's failure, not the connection's. */
  let refusal: Error | undefined;
  const refused = (error: Error): Error => {
    const isOurs = error instanceof ReconError && (error.code === 'ERR_RECON_READING' || error.code === 'ERR_RECON_CLOSED');
    if (isOurs) refusal = error;
    return error;
  };
  /** Queues messages up to one that can't be sent, which is told once those before it are flushed. */
  const writeAll = async (messages: readonly Out[]): Promise<void> => {
    const written: Promise<void>[] = [];
    try {
      for (const message of messages) written.push(write(message));
    } finally {
      await Promise.all(written);
    }
  };
  /** What is queued and not flushed: the stream comes with the next writes when it is told that these are done. */
  let pending: { readonly length: number; readonly done: (error?: Error) => void } | undefined;
  const queue = (messages: readonly Out[], done: (error?: Error) => void): void => {
    const length = objectMode ? messages.length : messages.reduce((sum, message) => sum + (message as Uint8Array).length, 0);
    const queued = { length, done };
    pending = queued;
    const settle = (error?: Error): void => {
      if (pending === queued) {
        pending = undefined;
        done(error);
      } else if (error) stream.destroy(error);
    };
    writeAll(messages).then(() => settle(), (error: Error) => settle(refused(error)));
  };

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
        (error: Error) => this.destroy(refused(error)),
      );
    },
    write(message: Out, _encoding, done) {
      queue([message], done);
    },
    writev(writes, done) {
      queue(writes.map(({ chunk }) => chunk as Out), done);
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

  const flush = (): void => {
    // The last ones are left to themselves, so that `drain` still waits for them.
    while (pending && stream.writableLength > pending.length) {
      const { done } = pending;
      pending = undefined;
      done();
    }
  };
  return { stream, flush };
}

const noNull = (): ReconError =>
  new ReconError('ERR_RECON_CODEC', 'the peer sent null, which a Node stream takes for its end: iterate the connection instead');
