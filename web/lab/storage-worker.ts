// The worker of a test: what it is told, it does with the storage of a model, and compares with an
// array in memory.

import { holdModel, type ModelStorage, openStorage, type Refusal } from "../src/storage/index.js";

const MIB = 1 << 20;

let storage: ModelStorage;
let release = () => {};

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
function dice(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a file of this seed holds from `at` on; both are multiples of 4. */
function pattern(seed: number, at: number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(length / 4);
  for (let i = 0; i < words.length; i++)
    words[i] = Math.imul(at / 4 + i + seed, 0x9e3779b1) ^ (seed << 7);
  return new Uint8Array(words.buffer);
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

async function whole(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array((await storage.size(file))!);
  await storage.read(file, 0, bytes);
  return bytes;
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Scribbles {
  file: string;
  seed: number;
  rounds: number;
  /** Bytes at the most. */
  most: number;
  /** Whether the bytes lie in memory that threads share. */
  shared: boolean;
}

/**
 * Random writes, reads and sizes, each compared with an array; tells the digest of what the file
 * holds in the end.
 */
async function scribble({ file, seed, rounds, most, shared }: Scribbles): Promise<string> {
  const random = dice(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const memory = new Uint8Array(shared ? new SharedArrayBuffer(4 * MIB) : new ArrayBuffer(4 * MIB));
  const noise = Uint32Array.from({ length: MIB }, () => below(2 ** 32));
  let mirror = new Uint8Array(below(most));
  await storage.remove(file);
  await storage.resize(file, mirror.length);
  const cutOrLengthen = (size: number) => {
    const grown = new Uint8Array(size);
    grown.set(mirror.subarray(0, size));
    mirror = grown;
  };
  const check = (at: number, view: Uint8Array, round: number) => {
    const wrong = firstDifference(view, mirror.subarray(at, at + view.length));
    if (wrong >= 0)
      throw new Error(
        `round ${round}: byte ${at + wrong} of ${file} is ${view[wrong]} and not ` +
          `${mirror[at + wrong]}`,
      );
  };
  for (let round = 0; round < rounds; round++) {
    const longest = [64, 64 << 10, 3 * MIB][below(3)]!;
    const length = below(Math.min(longest, most));
    const view = memory.subarray(below(MIB)).subarray(0, length);
    const kind = random();
    if (kind < 0.5) {
      const at = below(most - length);
      view.set(new Uint8Array(noise.buffer, below(noise.byteLength - length), length));
      await storage.write(file, at, view);
      if (length > 0 && at + length > mirror.length) cutOrLengthen(at + length);
      if (length > 0) mirror.set(view, at);
    } else if (kind < 0.9) {
      const at = below(Math.max(mirror.length - length, 0));
      const there = view.subarray(0, mirror.length - at);
      await storage.read(file, at, there);
      check(at, there, round);
    } else if (kind < 0.95) {
      await storage.flush(file);
    } else {
      cutOrLengthen(below(most));
      await storage.resize(file, mirror.length);
    }
    if ((await storage.size(file)) !== mirror.length)
      throw new Error(
        `round ${round}: ${file} has ${await storage.size(file)} bytes and not ${mirror.length}`,
      );
  }
  check(0, await whole(file), rounds);
  return digest(mirror);
}

interface Filling {
  file: string;
  seed: number;
  size: number;
  piece: number;
}

/** Writes and flushes piece by piece, and tells the page after each how far it is. */
async function fill({ file, seed, size, piece }: Filling): Promise<void> {
  await storage.resize(file, size);
  for (let at = 0; at < size; at += piece) {
    await storage.write(file, at, pattern(seed, at, Math.min(piece, size - at)));
    await storage.flush(file);
    self.postMessage({ flushed: Math.min(at + piece, size) });
  }
}

/** MB/s of writing, of flushing after each piece as well, and of reading. */
async function rates({
  file,
  size,
  piece,
}: Filling): Promise<{ written: number; flushed: number; read: number }> {
  const bytes = pattern(1, 0, piece);
  const timed = async (work: (at: number) => void | Promise<void>) => {
    const start = performance.now();
    for (let at = 0; at < size; at += piece) await work(at);
    return Math.round(size / 1e3 / (performance.now() - start));
  };
  await storage.resize(file, size);
  const written = await timed((at) => storage.write(file, at, bytes));
  const flushed = await timed(async (at) => {
    await storage.write(file, at, bytes);
    await storage.flush(file);
  });
  return { written, flushed, read: await timed((at) => storage.read(file, at, bytes)) };
}

const COMMANDS = {
  /** Tells what kind of storage there is, if any, and why it is no better. */
  async open({ id, patience = 0 }: { id: string; patience?: number }) {
    release = await holdModel(id, { patience });
    const refused: Refusal[] = [];
    const opened = await openStorage(id, refused).catch((error) => {
      release();
      throw error;
    });
    if (opened) storage = opened;
    return { kind: opened?.kind ?? "none", refused };
  },
  ask: async ({ bytes }: { bytes: number }) => storage.askForRoom(bytes),
  async close() {
    await storage.close();
    release();
  },
  scribble,
  fill,
  rates,
  digest: async ({ file }: { file: string }) => digest(await whole(file)),
  size: async ({ file }: { file: string }) => storage.size(file),
  resize: async ({ file, size }: { file: string; size: number }) => storage.resize(file, size),
  remove: async ({ file }: { file: string }) => storage.remove(file),
  read: async ({ file, at, length }: { file: string; at: number; length: number }) =>
    storage.read(file, at, new Uint8Array(length)),
  put: async ({
    file,
    seed,
    at,
    length,
  }: {
    file: string;
    seed: number;
    at: number;
    length: number;
  }) => storage.write(file, at, pattern(seed, at, length)),
  async writeText({ file, text }: { file: string; text: string }) {
    await storage.write(file, 0, new TextEncoder().encode(text));
    await storage.flush(file);
  },
  /** The first of `size` bytes that is not what `fill` wrote, or -1. */
  async check({ file, seed, size }: Filling) {
    return firstDifference(pattern(seed, 0, size), (await whole(file)).subarray(0, size));
  },
  /** Whether touching a file that is open answers at once. */
  async atOnce({ file }: { file: string }) {
    await storage.size(file);
    const answers = [
      storage.size(file),
      storage.read(file, 0, new Uint8Array(4)),
      storage.write(file, 0, new Uint8Array(4)),
    ];
    const waits = answers.some((answer) => answer instanceof Promise);
    await Promise.all(answers);
    return !waits;
  },
  /** What wasm memory without threads does while a file is being opened: it moves. */
  async moved({ file }: { file: string }) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const view = new Uint8Array(memory.buffer, 0, 4).fill(7);
    const written = storage.write(file, 0, view);
    memory.grow(1);
    await written;
    await storage.close();
    const into = new Uint8Array(memory.buffer, 0, 4);
    const read = storage.read(file, 0, into);
    memory.grow(1);
    await read;
  },
  /** Many touches of a new file in one breath. */
  async together({ file, count }: { file: string; count: number }) {
    await Promise.all(
      Array.from({ length: count }, (_, index) =>
        storage.write(file, index, new Uint8Array([index])),
      ),
    );
    return [...(await whole(file))];
  },
};

/** Makes a poorer browser of this thread. */
function take(feature: string): void {
  if (feature === "opfs" && !("StorageManager" in self)) return; // It is poor enough.
  if (feature === "opfs")
    Object.defineProperty(StorageManager.prototype, "getDirectory", { value: refuse });
  else if (feature === "handles")
    delete (FileSystemFileHandle.prototype as { createSyncAccessHandle?: unknown })
      .createSyncAccessHandle;
  else if (feature === "indexeddb") Object.defineProperty(self, "indexedDB", { value: undefined });
  else if (feature === "locks") Object.defineProperty(navigator, "locks", { value: undefined });
  else if (feature === "shared views") refuseSharedViews();
  else throw new Error(`no feature is called ${feature}`);
}

/** As private windows of Firefox. */
function refuse(): Promise<never> {
  return Promise.reject(new DOMException("taken away by the test", "SecurityError"));
}

type Move = (bytes: Uint8Array, options: object) => number;

/** As handles that know nothing of shared memory. */
function refuseSharedViews(): void {
  const { FileSystemSyncAccessHandle } = self as unknown as {
    FileSystemSyncAccessHandle: { prototype: { read: Move; write: Move } };
  };
  const handles = FileSystemSyncAccessHandle.prototype;
  for (const name of ["read", "write"] as const) {
    const inner = handles[name];
    handles[name] = function (bytes, options) {
      if (bytes.buffer instanceof SharedArrayBuffer) throw new TypeError("taken away by the test");
      return inner.call(this, bytes, options);
    };
  }
}

type Order = { without: string[] } | { command: keyof typeof COMMANDS; wishes: never };

self.onmessage = async ({ data }: MessageEvent<Order>) => {
  if ("without" in data) return data.without.forEach(take);
  try {
    const value = (await COMMANDS[data.command](data.wishes)) ?? null;
    self.postMessage({ outcome: { value } });
  } catch (error) {
    const { code, message, missing } = error as {
      code?: string;
      message: string;
      missing?: number;
    };
    self.postMessage({ outcome: { error: { code, message, missing } } });
  }
};
