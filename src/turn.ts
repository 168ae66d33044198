import { performance } from 'node:perf_hooks';

/** Bytes received since then below which nobody looks at the clock: what is quiet need not yield. */
const FLOOD = 64 * 1024;
/** Milliseconds that a flood may go on in one turn of the event loop, of all connections together. */
const LONG = 5;

/** When the event loop is known to have turned. It may have since: to be told each time would cost more than to yield in vain. */
let since = 0;
let bytes = 0;
let isLong = false;

/** Counts what was received, and says whether no more should be until the next turn of the event loop. */
export function isLongTurn(received: number): boolean {
  bytes += received;
  if (!isLong && bytes >= FLOOD && performance.now() - since >= LONG) {
    isLong = true;
    setImmediate(() => {
      isLong = false;
      bytes = 0;
      since = performance.now();
    });
  }
  return isLong;
}
