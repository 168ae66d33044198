/**
 * The process that is measured: `client.js <workload> <contender> <port>`. One contender does one job for a while, to warm
 * up, and then for as long as is measured. Sends the {@link Sample} to the parent process.
 */
import type { Contender, Repeat, Take } from './contender.js';
import { contenders } from './contenders/index.js';
import { type Sample, type Times, type Workload, workloads } from './workloads.js';

/** Exchanges between two looks at the clock. */
const EXCHANGES = 100;
/** Reads between two looks at the clock: lines come by the million, and a look costs as much as some of them. */
const READS = 64;
/** Connections that are opened at a time. */
const AT_A_TIME = 50;
/** File descriptors that are left to the process itself. */
const SPARE = 64;

/** How much is done from now on, in units of the job, and what that takes. */
class Stretch {
  amount = 0;
  readonly #started = performance.now();
  readonly #cpu = process.cpuUsage();

  /** Milliseconds. */
  get elapsed(): number {
    return performance.now() - this.#started;
  }

  sample(): Sample {
    const { user, system } = process.cpuUsage(this.#cpu);
    return { rate: this.amount / (this.elapsed / 1_000), cpu: (user + system) / 1e6 / (this.amount / 1e9) };
  }
}

async function repeated(repeat: Repeat, message: string | Buffer, count: number, { warmUp, measured }: Times): Promise<Sample> {
  const during = async (ms: number): Promise<Stretch> => {
    const stretch = new Stretch();
    while (stretch.elapsed < ms) {
      await repeat(message, count);
      stretch.amount += count;
    }
    return stretch;
  };
  await during(warmUp);
  return (await during(measured)).sample();
}

async function read(run: (take: Take) => Promise<void>, { warmUp, measured }: Times): Promise<Sample> {
  let stretch = new Stretch();
  let isWarm = false;
  let reads = 0;
  const isEnough = (): boolean => {
    if (isWarm) return stretch.elapsed >= measured;
    isWarm = stretch.elapsed >= warmUp;
    if (isWarm) stretch = new Stretch();
    return false;
  };
  let sample: Sample | undefined;
  await run((amount) => {
    stretch.amount += amount;
    if (++reads % READS !== 0 || !isEnough()) return false;
    // Here, because what follows the last read, closing the socket, is not reading.
    sample ??= stretch.sample();
    return true;
  });
  return sample!;
}

async function idle(open: () => Promise<unknown>, wanted: number): Promise<Sample> {
  const count = Math.min(wanted, descriptors() - SPARE);
  // What the first ones load and compile is not the price of the others.
  const held = await Promise.all(Array.from({ length: AT_A_TIME }, open));
  const before = memory();
  const already = held.length;
  while (held.length < count) held.push(...(await Promise.all(Array.from({ length: AT_A_TIME }, open))));
  const after = memory();
  const opened = held.length - already;
  return { heap: (after.heap - before.heap) / opened, external: (after.external - before.external) / opened };
}

/** Bytes in use, garbage aside. */
function memory(): { heap: number; external: number } {
  // The second time waits until the memory of the first's buffers is given back.
  globalThis.gc!();
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed, external };
}

/** How many file descriptors this process may have; Node has raised its soft limit to the hard one already. */
function descriptors(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } };
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : Infinity;
}

async function measure({ job, times }: Workload, contender: Contender, port: number): Promise<Sample> {
  switch (job.kind) {
    case 'write':
      return repeated(await contender.write!(port), job.message, job.window, times);
    case 'exchange':
      return repeated(await contender.exchange!(port), job.message, EXCHANGES, times);
    case 'read':
      return read((take) => contender.read!(port, take), times);
    case 'readLines':
      return read((take) => contender.readLines!(port, take), times);
    case 'idle':
      return idle(() => contender.idle!(port), job.connections);
  }
}

// The parent is gone.
process.on('disconnect', () => process.exit());
const [name, contender = '', port] = process.argv.slice(2);
const workload = workloads.find((each) => each.name === name)!;
const sample = await measure(workload, await contenders[contender]!.load(), Number(port));
process.send!(sample, () => process.exit());
