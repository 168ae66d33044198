// `smoke.mjs` lists the checks, `smoke.mjs <name>` runs one and says "done". Whoever runs it sees to it that the process
// then exits by itself, as it must, and within a time limit.
import * as life from './checks/life.mjs';
import * as reading from './checks/reading.mjs';
import * as tls from './checks/tls.mjs';
import * as writing from './checks/writing.mjs';

const checks = { ...life.checks, ...reading.checks, ...writing.checks, ...tls.checks };
const [name] = process.argv.slice(2);
if (name === undefined) console.log(JSON.stringify(Object.keys(checks)));
else {
  await checks[name]();
  console.log('done');
}
