import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { type Codec, type Decoder, encode } from './codec.js';
import { Deadline } from './deadline.js';
import type { Dialled } from './dial.js';
import { because, isMistake, type Reason, ReconError } from './errors.js';
import type { Inbox } from './inbox.js';
import { Intake, type IntakeHost } from './intake.js';
import type { Part, Sink } from './outbox.js';
import { type Deferred, deferred, handled } from './promises.js';
import type { Reader } from './reader.js';
import { Refusals } from './refusals.js';
import type { Feed, Section } from './section.js';
import { isNotBytes, type Receiver } from './source.js';
import type { Counters } from './stats.js';
import { Writer, type WriterHost } from './writer.js';

/**
 * One socket under a connection, from being dialled to being dropped.
 *
 * Iterated, it yields its own messages and ends where the link ended, however that was: `reason` says.
 */
export interface Link<In = Buffer, Out = string | Uint8Array> extends AsyncIterable<In> {
  /** 1 for the first link that comes up, and so on. An attempt that fails uses none up. */
  readonly number: number;
  /**
   * The transport itself: for `setNoDelay()`, `remoteAddress`, … With `tls` it is a `tls.TLSSocket`; with `dial`, whatever that
   * has brought, of which only a `Duplex` is certain.
   */
  readonly socket: Socket;
  /** To whom: `tcp://host:port`, `tls://host:port`, `unix:/path`, or `a dialled stream` (of `dial`). */
  readonly peer: string;
  /** When it was connected, in milliseconds since the epoch. */
  readonly openedAt: number;
  /** Why it was lost; undefined while it is not, and after a peer's plain goodbye. */
  readonly reason: Reason | undefined;
  /**
   * Writes one message on this link alone, past the connection's queue: for `onLink`, and for protocols that ask anew
   * on each of `conn.links()`. Fulfilled when the system has taken it. Rejects with `ERR_RECON_DROPPED` when the link is
   * lost before (some of it may have been sent then), with `ERR_RECON_CLOSED` once the connection has said goodbye on it, and as `conn.write()` for what
   * can't be sent. No bound refuses it, nor does `bufferedAmount` count it: await it.
   */
  write(message: Out): Promise<void>;
  /**
   * The next message of this link: for `onLink`. Rejects with `ERR_RECON_DROPPED` when the link is lost and nothing
   * of it is left, and with `ERR_RECON_READING` when somebody else reads.
   *
   * @example
   * await link.write('AUTH secret');
   * if ((await link.read()) !== '+OK') throw new AbortError('wrong password');
   */
  read(): Promise<In>;
}

/**
 * A message sent on an interval, as a sign of life to the peer and a test of it. It is left out while the
 * system has not taken the one before, or any other `link.write()`.
 */
export interface Heartbeat<Out> {
  /** Milliseconds between two messages, at least 1; `Infinity` is off. */
  readonly interval: number;
  /** What to send, encoded like any other message. */
  readonly message: Out;
}

/** @internal The settings that a link lives by. */
export interface LinkSettings<In, Out> {
  readonly codec: Codec<In, Out>;
  readonly discard: boolean;
  readonly idleTimeout: number;
  readonly writeTimeout: number;
  readonly closeTimeout: number;
  readonly heartbeat: Heartbeat<Out> | undefined;
}

/** @internal What the links of one connection share. */
export interface LinkContext<In, Out> {
  readonly settings: LinkSettings<In, Out>;
  readonly inbox: Inbox<In, Link<In, Out>>;
  readonly counters: Counters;
}

/** @internal A link as the connection sees it. It reads its socket into the inbox, and is the sink of the outbox. */
export class LiveLink<In, Out> implements Link<In, Out>, Feed, Sink, Receiver, IntakeHost, WriterHost {
  readonly number: number;
  readonly socket: Socket;
  readonly peer: string;
  readonly openedAt = Date.now();
  reason: Reason | undefined;
  /** False from the moment it is lost. */
  open = true;
  /** An error that redialling can't mend: its stream threw a programming error, or its data are not bytes. */
  mistake: Error | undefined;
  /** Bytes of a message that was begun and not finished when it was lost. */
  discarded = 0;
  /** Fulfilled as soon as it is lost. */
  readonly lost: Promise<void>;
  #lose!: () => void;

  readonly #context: LinkContext<In, Out>;
  readonly #source: Dialled['source'];
  readonly #section: Section<In, Link<In, Out>>;
  readonly #intake: Intake<In, Link<In, Out>>;
  readonly #writer: Writer;
  /** Calls of `write()` that the system has not taken yet; made on first use. */
  #writes: Set<Deferred<void>> | undefined;
  #refusals: Refusals | undefined;
  readonly #idle: Deadline | undefined;
  readonly #stalled: Deadline | undefined;
  /** How long the peer's FIN is waited for; made by `end()`. */
  #goodbye: Deadline | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #reading: { reader: Reader<In>; count: number } | undefined;
  #paused = false;
  /** Why it was lost while a chunk was being decoded, whose messages come first. */
  #loss: { readonly reason: unknown } | undefined;
  #upAt = Infinity;
  #lostAt = Infinity;

  constructor({ socket, source, isNetSocket, peer }: Dialled, decoder: Decoder<In>, context: LinkContext<In, Out>) {
    const { inbox, counters } = context;
    this.number = counters.links + 1;
    this.socket = socket as Socket;
    this.peer = peer;
    this.lost = new Promise((resolve) => (this.#lose = resolve));
    this.#context = context;
    this.#source = source;
    this.#section = inbox.open(this);
    this.#intake = new Intake(decoder, this.#section, this);
    this.#section.feed = this;
    this.#idle = this.#deadline('idleTimeout', 'nothing was received');
    this.#stalled = this.#deadline('writeTimeout', 'the system took nothing of what waits');
    this.#writer = new Writer(socket, this, { isNetSocket, stalled: this.#stalled });

    socket.on('end', () => this.destroy());
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy(socket.errored ?? undefined));
    this.#paused = this.#section.full;
    try {
      source.start(this, !this.#paused);
    } catch (error) {
      this.onThrown(error);
    }
    if (socket.destroyed || socket.readableEnded) this.destroy(socket.errored ?? undefined);
  }

  toString(): string {
    return `link ${this.number} to ${this.peer}`;
  }

  /** It came up. A link that has passed `onLink` can still be lost before that. */
  get wasUp(): boolean {
    return this.#upAt < Infinity;
  }

  /** Milliseconds it has been up, or was. */
  get uptime(): number {
    return Math.max(0, Math.min(performance.now(), this.#lostAt) - this.#upAt);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<In, undefined> {
    return this.#context.inbox.messagesOf(this.#section);
  }

  read(): Promise<In> {
    const reading = (this.#reading ??= { reader: this.#context.inbox.messagesOf(this.#section), count: 0 });
    reading.count += 1;
    const message = reading.reader.next().then(({ done, value }) => {
      if (done) throw this.#lostError('read');
      return value;
    });
    return handled(
      message.finally(() => {
        reading.count -= 1;
        if (reading.count > 0) return;
        this.#reading = undefined;
        void reading.reader.return();
      }),
    );
  }

  write(message: Out): Promise<void> {
    let data: string | Uint8Array;
    try {
      data = encode(this.#context.settings.codec, message);
      if (!this.open) throw this.#lostError('write');
      if (this.#goodbye) throw new ReconError('ERR_RECON_CLOSED', `cannot write: the connection is ending, and has said goodbye on ${this}`);
    } catch (error) {
      this.#refusals ??= new Refusals();
      return this.#refusals.refuse(error);
    }
    const write = deferred();
    this.#writes ??= new Set();
    this.#writes.add(write);
    const length = Buffer.byteLength(data);
    let left = length;
    this.send([{ data, length }], (bytes) => {
      left -= bytes;
      if (left > 0) return;
      this.#writes?.delete(write);
      write.resolve();
    });
    return handled(write.promise);
  }

  onTaken(bytes: number): void {
    this.#context.counters.bytesWritten += bytes;
  }

  onThrown(error: unknown): void {
    if (isMistake(error)) this.mistake = error;
    this.destroy(error);
  }

  send(parts: readonly Part[], taken: (bytes: number) => void): boolean {
    return this.#writer.write(parts, taken);
  }

  /** `onLink` is done: the reader may have what comes, and the link is watched. */
  up(): void {
    const { discard, heartbeat } = this.#context.settings;
    this.#upAt = performance.now();
    this.#section.release();
    if (discard) this.#section.skip();
    this.#watch();
    if (heartbeat) this.#heartbeat = setInterval(() => this.#beat(heartbeat.message), heartbeat.interval).unref();
  }

  /** Says goodbye, and gives the peer `closeTimeout` to say it too. */
  end(): void {
    if (!this.open || this.#goodbye) return;
    const goodbye = new Deadline(Math.max(this.#context.settings.closeTimeout, 1), () => this.destroy());
    this.#goodbye = goodbye;
    clearInterval(this.#heartbeat);
    this.#section.onlyIfRead();
    // Armed again when FIN is sent. Armed now, too: `link.write()`s that are never taken must not put FIN off for ever.
    goodbye.arm();
    this.#writer.end(() => this.open && goodbye.arm());
  }

  /** The link is lost, for this reason or with a plain goodbye. What its socket has already received is kept. */
  destroy(reason?: unknown): void {
    if (!this.open) return;
    if (this.#intake.decoding) {
      this.#loss ??= { reason };
      return;
    }
    this.open = false;
    this.reason = reason as Reason | undefined;
    if (isNotBytes(reason)) this.mistake = reason;
    this.#lostAt = performance.now();
    this.#idle?.disarm();
    this.#stalled?.disarm();
    this.#goodbye?.disarm();
    clearInterval(this.#heartbeat);
    this.#source.drain();
    this.discarded = this.#intake.pending;
    this.#intake.close();
    this.#context.counters.bytesDiscarded += this.discarded;
    if (this.#writes?.size) {
      const error = this.#lostError('write');
      for (const write of this.#writes) write.reject(error);
    }
    this.#writes = undefined;
    this.#section.close();
    this.#lose();
  }

  /** Names the link in an error about it. */
  #lostError(what: string): ReconError {
    return new ReconError('ERR_RECON_DROPPED', `cannot ${what}: ${this} is lost${because(this.reason)}`, this.reason);
  }

  /** A deadline that drops the link; undefined if the option is off. */
  #deadline(option: 'idleTimeout' | 'writeTimeout', what: string): Deadline | undefined {
    const milliseconds = this.#context.settings[option];
    if (milliseconds === 0) return undefined;
    return new Deadline(milliseconds, () =>
      this.destroy(new ReconError('ERR_RECON_TIMEOUT', `${what} for ${milliseconds} ms (${option}) on ${this}`)),
    );
  }

  receive(chunk: Buffer): boolean {
    if (this.#source.isFromLoop) this.#writer.turned();
    this.#context.counters.bytesRead += chunk.length;
    this.#intake.take(chunk);
    if (this.#loss && !this.#intake.decoding) this.destroy(this.#loss.reason);
    this.#paused = this.#section.full;
    this.#watch();
    return !this.#paused;
  }

  onUnreadable(error: ReconError | TypeError): void {
    if (error instanceof ReconError) this.destroy(new ReconError(error.code, `${this}: ${error.message}`, error.cause));
    // A decoder that is none will be none on the next link.
    else this.onThrown(error);
  }

  onRoom(): void {
    if (!this.#paused || !this.open) return;
    this.#paused = false;
    this.#watch();
    this.#source.resume();
  }

  /** Restarts the idle timeout, which is off until the link is up and while reading is paused. */
  #watch(): void {
    if (this.open && !this.#paused && this.wasUp) this.#idle?.arm();
    else this.#idle?.disarm();
  }

  /** Skipped while a `link.write()` is pending: heartbeats must not pile up for a peer that doesn't read. */
  #beat(message: Out): void {
    if (!this.#writes?.size) void this.write(message);
  }
}
