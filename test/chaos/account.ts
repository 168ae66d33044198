import type { Socket } from 'node:net';
import type { Connection, Drop, Link } from 'recon';
import type { Backend, BackendLink } from './backend.js';
import type { Dialect } from './dialects.js';
import type { ChaosProxy, Entry } from './proxy.js';
import { Reading } from './reading.js';
import { Tunnel } from './tunnel.js';
import { excerpt, type Outcome, Writes } from './writes.js';
import type { Generator } from '../generator.js';

/** How the client's links get to the proxy. Of what TLS encrypts the ledger can't count the bytes. */
export type Transport = 'tcp' | 'tls' | 'duplex';

/** What happened to one connection, or to many. */
export class Tally {
  /** Links that the proxy accepted, those that came up, and those whose misfortune came. */
  accepted = 0;
  links = 0;
  struck = 0;
  /** Messages written, by their end. */
  flushed = 0;
  unflushed = 0;
  refused = 0;
  closed = 0;
  /** Flushed messages that were on their way when their link was cut. */
  lost = 0;
  /** Messages that arrived, and were sent again. */
  resent = 0;
  bytesRead = 0;
  bytesWritten = 0;

  add(other: Tally): void {
    for (const name of Object.keys(this) as Exclude<keyof Tally, 'add'>[]) this[name] += other[name];
  }
}

/** A link that came up, as the client knows it. */
interface Up {
  readonly link: Link<any, any>;
  /** What its `drop` told; undefined for the last one of a clean end. */
  discarded: number | undefined;
  lost: boolean;
}

export interface AccountParts {
  readonly transport: Transport;
  readonly dialect: Dialect;
  readonly random: Generator;
  readonly unflushed: 'resend' | 'reject';
  readonly proxy: ChaosProxy;
  readonly backend: Backend;
  /** What the client says on each link before it is up, if it does. */
  readonly greeting: ((link: number) => unknown) | undefined;
}

/** No more bytes than this of a link's first message, and it may not be told whose it is. */
const UNTOLD = 16;

/**
 * The books of one connection. Link by link, what the client wrote and read is held against what the server got and
 * said, and what is missing against the proxy's ledger: only what was cut off can be.
 */
export class Account {
  readonly tally = new Tally();
  readonly writes: Writes;
  readonly #reading: Reading;
  readonly #parts: AccountParts;
  readonly #problems: string[] = [];
  /** Links that came up and are not checked yet, in order. */
  readonly #ups: Up[] = [];
  readonly #ports = new WeakMap<Link<any, any>, number | undefined>();
  /** Whose entry and whose server is whose, once that is known: in the long run, ports are used again. */
  readonly #entries = new WeakMap<Link<any, any>, Entry>();
  readonly #servers = new WeakMap<Entry, BackendLink>();
  /** Links checked that were up. */
  #checked = 0;
  #readToTheEnd = false;
  /** The connection was destroyed, with what it had not read; or some of a link was left. */
  #unreadIsGone = false;
  #someIsGone = false;
  /** Of these, not everything was read. */
  readonly #left = new WeakSet<Link<any, any>>();

  constructor(parts: AccountParts) {
    const { dialect, random, unflushed, backend } = parts;
    this.#parts = parts;
    this.writes = new Writes(dialect, random.fork('client'), unflushed);
    this.#reading = new Reading(dialect, (number) => backend.find(number));
  }

  /** The promises that were broken. */
  get problems(): string[] {
    return [...this.#problems, ...this.#reading.problems];
  }

  complain(problem: string): void {
    this.#problems.push(problem);
  }

  /** A link is connected: from now on it is known by its port. */
  meet(link: Link<any, any>): void {
    this.#ports.set(link, (link.socket as { localPort?: number }).localPort);
  }

  watch(conn: Connection<any, any>): void {
    const onUp = (link: Link<any, any>): void => {
      this.tally.links += 1;
      if (link.number !== this.tally.links) this.complain(`link ${link.number} came after link ${this.tally.links - 1}`);
      this.#ups.push({ link, discarded: undefined, lost: false });
    };
    conn.on('connect', onUp);
    conn.on('reconnect', onUp);
    conn.on('drop', ({ link, discarded }: Drop<any, any>) => {
      const up = this.#ups.find((other) => other.link === link);
      if (up) Object.assign(up, { discarded, lost: true });
      else this.complain(`link ${link.number} was dropped, and was not up`);
      this.settle();
    });
    conn.on('close', () => {
      for (const up of this.#ups) up.lost = true;
    });
  }

  /** The reader has a message, of this link if it was told. */
  take(message: unknown, link?: Link<any, any>): void {
    this.#reading.take(message, link && this.#serverBehind(link));
  }

  /** `onLink` has a message, before the reader need have come to its link. */
  readAhead(message: unknown, link: Link<any, any>): void {
    const server = this.#serverBehind(link);
    if (server) this.#reading.takeAhead(message, server);
    else this.complain(`link ${link.number} said something that no server has`);
  }

  /** A write has ended. */
  settled(outcome: Outcome): void {
    this.tally[outcome] += 1;
  }

  /** The connection was destroyed: what is unread will not be read. */
  unreadIsGone(): void {
    this.#unreadIsGone = true;
    this.#someIsGone = true;
  }

  /** The reader has moved on to the next link. */
  leave(link: Link<any, any>): void {
    this.#left.add(link);
    this.#someIsGone = true;
  }

  readToTheEnd(): void {
    this.#readToTheEnd = true;
  }

  /** Checks the links that are over for everybody, in their order, and forgets them. */
  settle(): void {
    const { ledger } = this.#parts.proxy;
    for (const { link } of this.#ups) this.#entryOf(link);
    for (const entry of ledger) this.#serverOf(entry);
    for (let entry = ledger[0]; entry && this.#isOver(entry); entry = ledger[0]) {
      this.#check(entry);
      ledger.shift();
    }
  }

  /** Everything is over: nothing may be left, and what was counted must add up. */
  close({ stats }: Connection<any, any>): void {
    this.settle();
    const { bytesRead, bytesDiscarded, bytesWritten, links } = stats;
    const { ledger } = this.#parts.proxy;
    if (ledger.length > 0) this.complain(`${ledger.length} links are not over`);
    if (this.#ups.length > 0) this.complain(`${this.#ups.length} links that came up are not in the ledger`);
    if (this.writes.left > 0) this.complain(`${this.writes.left} writes were not settled on any link`);
    if (links !== this.tally.links) this.complain(`${this.tally.links} links of ${links} were told`);
    const { bytes } = this.#reading;
    // Of messages that came together, some of which were read, all the bytes are counted as discarded.
    if (this.#someIsGone ? bytesRead > bytes + bytesDiscarded : bytesRead !== bytes + bytesDiscarded) {
      this.complain(`${bytesRead} bytes were received, ${bytes} read and ${bytesDiscarded} discarded`);
    }
    Object.assign(this.tally, { bytesRead, bytesWritten });
  }

  #entryOf(link: Link<any, any>): Entry | undefined {
    const port = this.#ports.get(link);
    const entry = this.#entries.get(link) ?? this.#parts.proxy.ledger.findLast(({ clientPort }) => clientPort === port);
    if (entry) this.#entries.set(link, entry);
    return entry;
  }

  /** Undefined if the link was cut off before it got there. */
  #serverOf(entry: Entry): BackendLink | undefined {
    const { dialled } = entry;
    const server = this.#servers.get(entry) ?? (dialled && this.#parts.backend.from(dialled.port, dialled.at));
    if (server) this.#servers.set(entry, server);
    return server;
  }

  #serverBehind(link: Link<any, any>): BackendLink | undefined {
    const entry = this.#entryOf(link);
    return entry && this.#serverOf(entry);
  }

  /** What the client knows of the oldest entry. */
  #upOf(entry: Entry): Up | undefined {
    const [up] = this.#ups;
    return up && this.#entryOf(up.link) === entry ? up : undefined;
  }

  #isOver(entry: Entry): boolean {
    const server = this.#serverOf(entry);
    const isLost = this.#upOf(entry)?.lost ?? true;
    const isRead = this.#readToTheEnd || server === undefined || server.number < this.#reading.position;
    return entry.over && isLost && isRead && (server?.closed ?? true);
  }

  #check(entry: Entry): void {
    const { backend } = this.#parts;
    const up = this.#upOf(entry);
    const server = this.#serverOf(entry);
    this.tally.accepted += 1;
    if (entry.struck) this.tally.struck += 1;
    const problems = this.#checkWritten(entry, up, server);
    if (server) problems.push(...this.#checkRead(entry, up, server));
    for (const problem of problems) this.complain(`${describe(entry, up)}: ${problem}`);
    if (up) {
      this.#ups.shift();
      this.#checked += 1;
    }
    if (server) {
      backend.forget(server);
      this.#reading.forget(server);
    }
  }

  /** From the client to the server: a greeting, then messages. */
  #checkWritten({ toServer }: Entry, up: Up | undefined, server: BackendLink | undefined): string[] {
    const { dialect, transport, greeting, backend } = this.#parts;
    const problems: string[] = [];
    const received = server?.received ?? Buffer.alloc(0);
    // What a server takes with it when it stops is no concern of the proxy's.
    const dropped = server ? server.dropped : backend.stops > 0;
    if (transport !== 'tls' && !dropped && received.length !== toServer.passed) {
      problems.push(`the server got ${received.length} bytes, of ${toServer.passed} that were passed on`);
    }
    const greeted = greeting ? dialect.bytes(greeting(this.#checked + 1)) : Buffer.alloc(0);
    const first = received.subarray(0, greeted.length);
    if (!first.equals(greeted.subarray(0, first.length))) problems.push(`the server got ${excerpt(first)} for a greeting`);
    const messages = received.subarray(greeted.length);
    if (up) {
      // Who closes a socket with something unread resets it, and to the proxy that can look like a goodbye (libuv takes a
      // hangup for one). Who has read the other's goodbye has read everything.
      const whole = toServer.whole && !dropped && (up.link.socket as Socket).readableEnded;
      const taken = up.link.socket instanceof Tunnel ? up.link.socket.taken - greeted.length : undefined;
      const finding = this.writes.check({ link: up.link.number, received: messages, whole, taken });
      problems.push(...finding.problems);
      this.tally.lost += finding.lost;
      this.tally.resent += finding.resent;
    } else if (messages.length > 0) problems.push(`the server got ${excerpt(messages)} of a link that was not up`);
    return problems;
  }

  /** From the server to the client: that it was what the server said has been checked while it was read. */
  #checkRead({ toClient, reset }: Entry, up: Up | undefined, server: BackendLink): string[] {
    const problems: string[] = [];
    const read = this.#reading.of(server) ?? 0;
    if (read > server.said) problems.push(`read ${read} bytes, of ${server.said} that were said`);
    const discarded = up?.discarded ?? (toClient.whole ? 0 : undefined);
    if (!up || discarded === undefined || this.#unreadIsGone || this.#left.has(up.link)) return problems;

    const got = read + discarded;
    const { transport } = this.#parts;
    const compare = (all: number, what: string): void => {
      if (got === all || (read === 0 && all < UNTOLD)) return;
      problems.push(`read ${read} and discarded ${discarded}, of ${all} bytes ${what}`);
    };
    const { bytesRead, readableEnded } = up.link.socket as Socket;
    if (transport === 'tcp' && up.discarded !== undefined) compare(bytesRead, 'that were received');
    if (!readableEnded || reset) return problems;
    if (transport !== 'tls') compare(toClient.passed, 'before the goodbye');
    if (toClient.whole && !server.dropped) compare(server.said, 'that were said');
    return problems;
  }
}

const describe = ({ number, misfortune: { trouble, after, direction, pace } }: Entry, up: Up | undefined): string =>
  `link ${number} of the proxy (${up ? `link ${up.link.number} of the client` : 'never up'}; ${pace}, ${
    trouble ? `${trouble} after ${after} ${direction}` : 'no misfortune'
  })`;
