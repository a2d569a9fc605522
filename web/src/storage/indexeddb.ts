// Files in IndexedDB, in blocks, for browsers and windows without a file system of their own.

import {
  type DBSchema,
  type IDBPDatabase,
  type IDBPObjectStore,
  type IDBPTransaction,
  openDB,
} from "idb";
import { type Wait, waitOn } from "../../shared/databases.js";
import { isCalled, isRefusal } from "../../shared/exceptions.js";
import { askForRoom, refusedRoom } from "./room.js";
import {
  BLOCK,
  checkThere,
  endsEarly,
  failed,
  lost,
  type ModelStorage,
  noSuchFile,
  PLACE,
  pause,
  pieces,
  type StorageFault,
} from "./storage.js";

interface Schema extends DBSchema {
  /** [model, file] → its size. */
  files: { key: [string, string]; value: number };
  /**
   * [model, file, number] → the block from its beginning to the last byte that was written; what is
   * missing is zeros.
   */
  blocks: { key: [string, string, number]; value: Uint8Array };
}

export type Database = IDBPDatabase<Schema>;

/**
 * Once a write is reported as done, it is on the disk: IndexedDB has no other way to ask for that.
 */
const WRITE = { durability: "strict" } as const;

/** Opens the database, and makes it if need be; another tab that wants to remove it may. */
export function openDatabase(): Promise<Database> {
  return openDB<Schema>(PLACE, 1, {
    upgrade(database) {
      database.createObjectStore("files");
      database.createObjectStore("blocks");
    },
    blocking: (_current, _wanted, event) => (event.target as IDBDatabase).close(),
  });
}

/** Whether a database can be opened. */
export async function hasIndexedDb(): Promise<boolean> {
  try {
    (await openDatabase()).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether the database is there already; it is not made for this question where browsers can tell.
 */
export async function databaseExists(wanted = PLACE): Promise<boolean> {
  try {
    return (await indexedDB.databases()).some(({ name }) => name === wanted);
  } catch {
    return typeof indexedDB !== "undefined";
  }
}

/**
 * All keys of a model, or of a file: longer arrays and arrays of arrays sort behind texts and
 * numbers.
 */
export function keysOf(...path: (string | number)[]): IDBKeyRange {
  return IDBKeyRange.bound(path, [...path, []]);
}

export class IndexedDbStorage implements ModelStorage {
  readonly kind = "indexeddb";
  readonly #database: Database;
  readonly #wait: Wait;

  private constructor(
    readonly id: string,
    database: Database,
  ) {
    this.#database = database;
    this.#wait = waitOn(database);
  }

  static async open(id: string): Promise<IndexedDbStorage> {
    return new IndexedDbStorage(id, await openDatabase());
  }

  askForRoom(bytes: number): Promise<void> {
    return askForRoom(bytes);
  }

  size(file: string): Promise<number | undefined> {
    return this.#explained(file, 0, () => this.#database.get("files", [this.id, file]));
  }

  read(file: string, at: number, into: Uint8Array): Promise<void> {
    const { length } = into;
    return this.#explained(file, 0, async () => {
      const { files, blocks } = stores(this.#database.transaction(["files", "blocks"]));
      const wanted = pieces(at, into.length);
      const [size, ...found] = await Promise.all([
        files.get([this.id, file]),
        ...wanted.map(({ block }) => blocks.get([this.id, file, block])),
      ]);
      if (size === undefined) throw noSuchFile(file);
      checkThere(file, into, length);
      if (at + into.length > size) throw endsEarly(file, at, into.length, size);
      wanted.forEach(({ start, from, to }, index) => {
        const held = found[index]?.subarray(start, start + to - from) ?? new Uint8Array();
        into.set(held, from);
        into.fill(0, from + held.length, to);
      });
    });
  }

  write(file: string, at: number, bytes: Uint8Array): Promise<void> {
    // Copied before the first wait, for the caller may reuse its bytes, and because shared memory
    // cannot be stored.
    const parts = pieces(at, bytes.length).map(({ block, start, from, to }) => ({
      block,
      start,
      bytes: new Uint8Array(bytes.subarray(from, to)),
    }));
    return this.#change(file, bytes.length, async ({ files, blocks }) => {
      const [size = 0, ...before] = await Promise.all([
        files.get([this.id, file]),
        ...parts.map(({ block, bytes }) =>
          bytes.length < BLOCK ? blocks.get([this.id, file, block]) : undefined,
        ),
      ]);
      const puts = parts.map(({ block, start, bytes }, index) =>
        blocks.put(patched(before[index], start, bytes), [this.id, file, block]),
      );
      return [
        files.put(bytes.length > 0 ? Math.max(size, at + bytes.length) : size, [this.id, file]),
        ...puts,
      ];
    });
  }

  async resize(file: string, size: number): Promise<void> {
    await this.#explained(file, 0, async () => askForRoom(await this.#unwritten(file, size)));
    const last = Math.floor(size / BLOCK);
    await this.#change(file, 0, async ({ files, blocks }) => {
      const cut = (await blocks.get([this.id, file, last]))?.slice(0, size % BLOCK);
      const requests = [
        files.put(size, [this.id, file]),
        blocks.delete(IDBKeyRange.bound([this.id, file, last], [this.id, file, []])),
      ];
      return cut?.length ? [...requests, blocks.put(cut, [this.id, file, last])] : requests;
    });
  }

  /** Writes are on the disk already; this finds out whether they still are. */
  flush(file: string): Promise<void> {
    return this.#explained(file, 0, async () => {
      if ((await this.#database.count("files", [this.id, file])) === 0) throw lost(file);
    });
  }

  remove(file: string): Promise<void> {
    return this.#change(file, 0, async ({ files, blocks }) => [
      files.delete([this.id, file]),
      blocks.delete(keysOf(this.id, file)),
    ]);
  }

  close(): void {
    this.#database.close();
  }

  /**
   * Bytes that the model's files still have to get, if this one has `size`: nothing is reserved but
   * what is written.
   */
  async #unwritten(file: string, size: number): Promise<number> {
    const { files, blocks } = stores(this.#database.transaction(["files", "blocks"]));
    const keys = await files.getAllKeys(keysOf(this.id));
    const sizes = new Map(
      await Promise.all(keys.map(async (key) => [key[1], (await files.get(key)) ?? 0] as const)),
    );
    const missing = [...sizes.set(file, size)].map(async ([name, size]) =>
      Math.max(size - BLOCK * (await blocks.count(keysOf(this.id, name))), 0),
    );
    return (await Promise.all(missing)).reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Changes all that `work` asks for, or nothing. */
  #change(
    file: string,
    wanted: number,
    work: (stores: Stores<"readwrite">) => Promise<Promise<unknown>[]>,
  ): Promise<void> {
    return this.#explained(file, wanted, async () => {
      const transaction = this.#database.transaction(["files", "blocks"], "readwrite", WRITE);
      const requests = work(stores(transaction)).then((requests) => Promise.all(requests));
      // `done` already rejects when a request fails, before the transaction has been undone.
      const over = new Promise<void>((resolve) => {
        for (const end of ["complete", "abort"]) transaction.addEventListener(end, () => resolve());
      });
      const ends = await Promise.allSettled([transaction.done, requests, over]);
      const reasons = ends.flatMap((end) => (end.status === "rejected" ? [end.reason] : []));
      // What fails aborts all the rest, which says no more than that.
      if (reasons.length > 0)
        throw reasons.find((reason) => !isCalled(reason, "AbortError")) ?? reasons[0];
    });
  }

  /**
   * Does `work` and says what an exception of the browser means; `wanted` is how many bytes it may
   * add.
   */
  async #explained<T>(file: string, wanted: number, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#wait(work());
    } catch (error) {
      if (isCalled(error, "StorageFault")) throw error;
      if (isRefusal(error)) throw await this.#refused(wanted);
      throw (await this.#isCleared()) ? lost(file) : failed(file, error);
    }
  }

  async #refused(wanted: number): Promise<StorageFault> {
    // After a refusal Firefox lets nothing but deletions into the next transaction: this is it.
    await this.#wait(this.#database.delete("files", [this.id, ""])).catch(() => {});
    return refusedRoom(wanted);
  }

  /** Whether the database was closed by others, or all of the model is gone. */
  async #isCleared(): Promise<boolean> {
    // A browser may say that it closed the database a moment after the last transactions have
    // failed.
    for (let tries = 0; tries < 10; tries++, await pause(50)) {
      try {
        const files = await this.#wait(this.#database.count("files", keysOf(this.id)));
        if (files === 0) return true;
      } catch (error) {
        if (isCalled(error, "InvalidStateError")) return true;
      }
    }
    return false;
  }
}

type Mode = "readonly" | "readwrite";
type Transaction<M extends Mode> = IDBPTransaction<Schema, ("files" | "blocks")[], M>;

interface Stores<M extends Mode> {
  files: IDBPObjectStore<Schema, ("files" | "blocks")[], "files", M>;
  blocks: IDBPObjectStore<Schema, ("files" | "blocks")[], "blocks", M>;
}

function stores<M extends Mode>(transaction: Transaction<M>): Stores<M> {
  return { files: transaction.objectStore("files"), blocks: transaction.objectStore("blocks") };
}

/** A block with these bytes from `start` on. */
function patched(before: Uint8Array | undefined, start: number, bytes: Uint8Array): Uint8Array {
  if (start === 0 && bytes.length >= (before?.length ?? 0)) return bytes;
  const block = new Uint8Array(Math.max(before?.length ?? 0, start + bytes.length));
  if (before) block.set(before);
  block.set(bytes, start);
  return block;
}
