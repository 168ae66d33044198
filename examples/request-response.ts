// A client that asks many questions at once and matches the answers by number, whatever becomes of its links meanwhile.
// A question goes out as `<number> <question>`, and its answer comes in as `<number> <answer>`, in any order.
//
// Run `npx tsx examples/request-response.ts`: alone, it brings a server that hangs up now and then. Or be the server
// yourself: `nc -lp 4321` beside `npx tsx examples/request-response.ts 127.0.0.1:4321`, and answer what it asks.
import { once } from 'node:events';
import net from 'node:net';
import { connect, type Link, lines } from 'recon';

interface Request {
  readonly line: string;
  readonly resolve: (answer: string) => void;
  readonly reject: (reason: unknown) => void;
}

const address = process.argv[2] ?? (await startServer());
console.log(`asking ${address}`);
const conn = await connect(address, { codec: lines() });
const unanswered = new Map<number, Request>();
let link: Link<string, string> | undefined;
let asked = 0;

function ask(question: string): Promise<string> {
  const number = ++asked;
  const answer = new Promise<string>((resolve, reject) => {
    const request = { line: `${number} ${question}`, resolve, reject };
    unanswered.set(number, request);
    send(request);
  });
  return answer.finally(() => unanswered.delete(number));
}

// The connection's own queue sends again what a lost link had not flushed, and nothing else: a question that was
// flushed and not answered would wait for ever. So questions are written to a link, and those that one link leaves
// unanswered are asked again on the next. The server may hear a question twice, which must do no harm.
async function serve(): Promise<void> {
  for await (link of conn.links()) {
    unanswered.forEach(send);
    for await (const line of link) {
      unanswered.get(parseInt(line))?.resolve(line.slice(line.indexOf(' ') + 1));
    }
  }
}

function send({ line, reject }: Request): void {
  // That this link is lost is no failure: the next one is asked.
  link?.write(line).catch((error) => error.code === 'ERR_RECON_DROPPED' || reject(error));
}

const giveUp = (reason: unknown): void => unanswered.forEach(({ reject }) => reject(reason));
serve().then(() => giveUp(new Error('the connection has ended')), giveUp);

conn.on('drop', () => console.log(`link dropped with ${unanswered.size} unanswered`));
conn.on('reconnect', ({ number }) => console.log(`link ${number} is up: asking again`));

const questions = ['who are you', 'where is everybody', 'is this on', 'what time is it', 'why', 'why not', 'who asked'];
await Promise.all(
  questions.map(async (question) => {
    console.log(`${question}?`.padEnd(22), await ask(question));
  }),
);
await conn.end();
console.log(`${asked} questions, all answered, over ${conn.stats.links} links`);

/** Answers in capitals and in no particular order, and hangs up instead of giving every fourth answer. */
async function startServer(): Promise<string> {
  let answers = 0;
  const server = net.createServer((socket) => {
    const decode = lines().decoder();
    const reply = (line: string): void => {
      if (socket.destroyed) return;
      if (++answers % 4 === 0) socket.destroy();
      else socket.write(`${line.toUpperCase()}!\n`);
    };
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const line of decode(chunk)) setTimeout(reply, 500 * Math.random(), line);
    });
  });
  await once(server.listen(0, '127.0.0.1').unref(), 'listening');
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}
