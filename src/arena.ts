import * as workers from 'node:worker_threads';

/**
 * Bytes of a slab: eight times the last read, within limits, and no less than half of the one before. So a quiet
 * connection holds on to little, and a busy one allocates seldom. The largest are for a flood, in which one read fills a whole
 * slab. With 128 KiB, the string of such a chunk would be a large object to V8, and slow to make.
 */
const LEAST_SLAB = 4 * 1024;
const LARGE_SLAB = 64 * 1024;
const LARGEST_SLAB = 120 * 1024;
/** The rest of a slab that is less than this part of the next one is not worth a read, and is left. */
const MIN_ROOM = 1 / 8;

const NONE = Buffer.alloc(0);

/**
 * Where all quiet connections read (those whose next slab would be the least), so that an idle one holds no memory of its own.
 * What is read here is copied before anything else can be read.
 */
const SHARED_BUFFER = Buffer.allocUnsafeSlow(LARGE_SLAB);

/**
 * Memory that is used from one end to the other, so that what came one after the other lies side by side. A connection
 * has one for all its links: few bytes of each, unread, must not hold on to a slab for each.
 */
export class Arena {
  #bytes = NONE;
  #used = 0;
  #nextSize = LEAST_SLAB;

  /** Where to read. */
  room(): Buffer {
    if (this.#nextSize === LEAST_SLAB) {
      // The slab of a flood that is over. One that is hardly used is kept: its few chunks would hold on to the whole of it.
      if (this.#bytes.length > LEAST_SLAB && this.#used * 2 >= this.#bytes.length) this.#replace(NONE);
      return SHARED_BUFFER;
    }
    this.#reserve(this.#nextSize * MIN_ROOM);
    return this.#bytes.subarray(this.#used);
  }

  /** The bytes that were read into the room, which is the one that was given last. */
  take(length: number, room: Uint8Array): Buffer {
    return room === SHARED_BUFFER ? this.copy(room.subarray(0, length)) : this.#use(length);
  }

  /** Copies a chunk to where the last one ended. */
  copy(chunk: Uint8Array): Buffer {
    this.#reserve(chunk.length);
    this.#bytes.set(chunk, this.#used);
    return this.#use(chunk.length);
  }

  /** Makes sure that there is enough room. */
  #reserve(enough: number): void {
    if (this.#bytes.length - this.#used >= enough) return;
    this.#replace(Buffer.allocUnsafeSlow(Math.max(this.#nextSize, enough)));
    // Chunks share it: who transfers one to a worker must not take the others with it.
    // (Not every runtime can say so.)
    workers.markAsUntransferable?.(this.#bytes.buffer);
  }

  #replace(slab: typeof NONE): void {
    this.#bytes = slab;
    this.#used = 0;
  }

  #use(length: number): Buffer {
    this.#used += length;
    const isFlood = length >= LARGE_SLAB && this.#used === this.#bytes.length;
    this.#nextSize = Math.min(Math.max(LEAST_SLAB, length * 8, this.#nextSize / 2), isFlood ? LARGEST_SLAB : LARGE_SLAB);
    return this.#bytes.subarray(this.#used - length, this.#used);
  }
}
