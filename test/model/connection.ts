import { Incoming, Outgoing, type Promised, type Received, type Written } from './model.js';

export interface ModelOptions {
  readonly maxBufferedAmount: number;
  readonly unflushed: 'resend' | 'reject';
  readonly highWaterMark: number;
  readonly retries: number;
  /** Messages are lines, rather than bytes. */
  readonly inLines: boolean;
  readonly hasOnLink: boolean;
  /** There is a `writeTimeout`, for which what is written is cut into slices. */
  readonly hasWriteTimeout: boolean;
}

/** A peer's goodbye, in the row of what it sends. */
export const FIN = Symbol('FIN');

/**
 * What becomes of what was written and received (`model.ts`) as the links of a connection come and go, and as it ends. Like
 * them, it knows of no time: what follows of itself does so in {@link ConnectionModel.turn}.
 */
export class ConnectionModel {
  readonly out: Outgoing;
  readonly in: Incoming;
  phase: 'dialling' | 'onLink' | 'up' | 'over' = 'dialling';
  readonly #options: ModelOptions;
  readonly #events: string[] = [];
  #links = 0;
  #bytesRead = 0;
  #saidGoodbye = false;
  /** How `closed` settles. */
  #outcome = 'pending';
  /** Attempts that have failed since a link was up. */
  #failures = 0;
  #received: Received | undefined;
  /** What the peer has sent on a link that is paused. */
  #arrived: (string | typeof FIN)[] = [];
  /** The promise of `end()`, and that of the message it was given. */
  #end: Promised | undefined;
  #farewell: Promised | undefined;
  /** The promise of `reconnect()`. */
  #next: Promised | undefined;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.out = new Outgoing(options.maxBufferedAmount, options.unflushed);
    this.in = new Incoming(options.inLines);
  }

  /** What is to be seen from outside. */
  observe(): Record<string, unknown> {
    const down = this.#links === 0 ? 'opening' : 'reopening';
    const readyState = this.out.isClosed ? 'closing' : this.phase === 'up' ? 'open' : down;
    return {
      phase: this.phase,
      readyState: this.phase === 'over' ? 'closed' : readyState,
      opened: this.#links > 0 ? 'done' : this.#outcome === 'done' ? 'ERR_RECON_CLOSED' : this.#outcome,
      closed: this.#outcome,
      saidGoodbye: this.#saidGoodbye,
      bufferedAmount: this.out.size,
      drains: this.out.drains,
      bytesRead: this.#bytesRead,
      bytesDiscarded: this.in.discarded,
      links: this.#links,
      events: this.#events.join(),
    };
  }

  get hasLink(): boolean {
    return this.phase === 'up' || this.phase === 'onLink';
  }

  /** The link is paused, and something waits on it. */
  get isHeldUp(): boolean {
    return this.#arrived.length > 0;
  }

  dialled(): void {
    this.phase = 'onLink';
    this.#received = this.in.open(this.#links + 1);
    if (!this.#options.hasOnLink) this.linked();
  }

  /** `onLink` is done. */
  linked(): void {
    this.phase = 'up';
    this.#links += 1;
    this.#failures = 0;
    this.#received!.isUp = true;
    this.#events.push(this.#links === 1 ? 'connect' : 'reconnect');
    if (this.#next) this.#next.settled = `link ${this.#links}`;
    this.#next = undefined;
  }

  /** The attempt has failed. */
  fail(error: string): void {
    if (this.phase === 'onLink') this.#hangUp();
    this.#failures += 1;
    if (this.#failures > this.#options.retries) this.#over(error);
    else this.#events.push('retry');
  }

  arrive(item: string | typeof FIN): void {
    this.#arrived.push(item);
    this.#takeOff();
  }

  /** The link is lost; without a reason, by a plain goodbye. */
  lose(reason?: string): void {
    if (this.phase === 'onLink') return this.fail(reason ?? 'ERR_RECON_DROPPED');
    const rest = this.#hangUp();
    const isCleanEnd = this.#isFlushed;
    this.out.drop();
    if (!isCleanEnd) this.#events.push(`drop ${reason} ${rest}`);
  }

  reconnect(): Promised {
    if (this.phase === 'over' || this.#isFlushed) return { settled: 'ERR_RECON_CLOSED' };
    const next = (this.#next ??= { settled: 'pending' });
    this.#failures = 0;
    if (this.phase === 'up') this.lose('ERR_RECON_DROPPED');
    else if (this.phase === 'onLink') this.#hangUp();
    return next;
  }

  end(farewell?: Written): Promised {
    if (this.#end) return this.#end;
    if (this.phase === 'over') return { settled: 'done' };
    this.out.isClosed = true;
    this.#farewell = farewell;
    this.#end = { settled: 'pending' };
    if (this.#isFlushed) this.out.take(0);
    return this.#end;
  }

  /** Now; what is unread is gone. */
  destroy(outcome = 'done'): void {
    if (this.phase === 'over') return;
    const wasUp = this.phase === 'up';
    this.in.clear();
    const rest = this.hasLink ? this.#hangUp() : 0;
    if (wasUp && outcome !== 'done') this.#events.push(`drop ${outcome} ${rest}`);
    this.#over(outcome);
  }

  /** What follows of itself: there may be room, and all may be said. */
  turn(): void {
    this.#takeOff();
    if (this.phase === 'up' || this.#isFlushed) this.out.take(0);
    if (!this.#isFlushed) return;
    if (this.phase === 'up') this.#saidGoodbye = true;
    else this.#over('done');
    this.#takeOff();
  }

  /** Nothing more will be written, and nothing is left to be flushed. */
  get #isFlushed(): boolean {
    return this.out.isClosed && this.out.size === 0;
  }

  /** What comes after the goodbye is for somebody who reads already. */
  get #isUnwanted(): boolean {
    return this.#saidGoodbye && !this.in.isRead;
  }

  /** Takes off the link what there is room for. */
  #takeOff(): void {
    while (this.hasLink) {
      const isFull = this.in.size >= this.#options.highWaterMark;
      if (isFull && this.#isUnwanted) this.#received!.isSkipped = true;
      if (isFull && !this.#received!.isSkipped) return;
      const item = this.#arrived.shift();
      if (item === undefined) return;
      if (item === FIN) this.lose();
      else this.#receive(item);
    }
  }

  #receive(bytes: string): void {
    const received = this.#received!;
    this.#bytesRead += bytes.length;
    if (this.#isUnwanted && !received.isSkipped) this.in.refuse(received, bytes);
    else this.in.receive(received, bytes);
  }

  /** The link is no more; what had arrived is kept. Returns how many bytes of a message it leaves unfinished. */
  #hangUp(): number {
    for (const item of this.#arrived.splice(0)) if (item !== FIN) this.#receive(item);
    // Attempts that fail again and again must not fill the memory.
    if (this.phase === 'onLink' && this.in.size > this.#options.highWaterMark) this.in.skip(this.#received!);
    this.phase = 'dialling';
    return this.in.lose(this.#received!);
  }

  #over(outcome: string): void {
    if (this.phase === 'over') return;
    if (this.phase === 'onLink') this.#hangUp();
    const isFlushed = this.out.size === 0;
    this.phase = 'over';
    this.#outcome = outcome;
    this.out.finish();
    this.in.finish(outcome);
    const clean = isFlushed ? (this.#farewell?.settled ?? 'done') : 'ERR_RECON_CLOSED';
    if (this.#end) this.#end.settled = outcome === 'done' ? clean : outcome;
    if (this.#next) this.#next.settled = 'ERR_RECON_CLOSED';
    if (outcome !== 'done') this.#events.push(`error ${outcome}`);
    this.#events.push('close');
  }
}
