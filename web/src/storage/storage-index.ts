// Whole models as they lie in storage, for whoever lists, deletes and copies them; on a page's
// thread as well as in a worker.

import { type Wait, waitOn } from "../../shared/databases.js";
import { isCalled } from "../../shared/exceptions.js";
import { type Database, databaseExists, keysOf, openDatabase } from "./indexeddb.js";
import { patiently } from "./opfs.js";
import { BLOCK, LOCK, lost, PLACE, type StorageKind } from "./storage.js";

/** A stored file; those of OPFS are just `File`s. */
export interface StoredFile {
  readonly name: string;
  readonly size: number;
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** One kind of storage with all the models in it. */
export interface StorageIndex {
  readonly kind: Exclude<StorageKind, "memory">;
  models(): Promise<string[]>;
  /** None for a model that is not there. */
  files(id: string): Promise<StoredFile[]>;
  /** Bytes that a model takes up. */
  taken(id: string): Promise<number>;
  /** A model that is not there is removed already. */
  remove(id: string): Promise<void>;
  close(): void;
}

/** Every kind of storage in which something lies, the best first. */
export async function openIndexes(): Promise<StorageIndex[]> {
  const indexes = await Promise.all([OpfsIndex.open(), IndexedDbIndex.open()]);
  return indexes.filter((index) => index !== undefined);
}

/** Does `work` with all of them. */
export async function withIndexes<T>(work: (indexes: StorageIndex[]) => Promise<T>): Promise<T> {
  const indexes = await openIndexes();
  try {
    return await work(indexes);
  } finally {
    for (const index of indexes) index.close();
  }
}

class OpfsIndex implements StorageIndex {
  readonly kind = "opfs";
  readonly #folder: FileSystemDirectoryHandle;

  private constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  static async open(): Promise<OpfsIndex | undefined> {
    try {
      return new OpfsIndex(
        await (await navigator.storage.getDirectory()).getDirectoryHandle(PLACE),
      );
    } catch {
      return undefined; // No such storage, or nothing in it.
    }
  }

  async models(): Promise<string[]> {
    const found = [];
    for await (const [name, { kind }] of this.#folder.entries())
      if (kind === "directory") found.push(name);
    return found;
  }

  async files(id: string): Promise<File[]> {
    const found = [];
    try {
      for await (const entry of (await this.#folder.getDirectoryHandle(id)).values()) {
        if (entry.kind === "file") found.push(await (entry as FileSystemFileHandle).getFile());
      }
    } catch (error) {
      if (!isCalled(error, "NotFoundError")) throw error;
    }
    return found;
  }

  async taken(id: string): Promise<number> {
    return (await this.files(id)).reduce(
      (sum, { name, size }) => (name === LOCK ? sum : sum + size),
      0,
    );
  }

  async remove(id: string): Promise<void> {
    try {
      await patiently(() => this.#folder.removeEntry(id, { recursive: true }));
    } catch (error) {
      if (!isCalled(error, "NotFoundError")) throw error;
    }
  }

  close(): void {}
}

class IndexedDbIndex implements StorageIndex {
  readonly kind = "indexeddb";
  readonly #database: Database;
  readonly #wait: Wait;

  private constructor(database: Database) {
    this.#database = database;
    this.#wait = waitOn(database);
  }

  static async open(): Promise<IndexedDbIndex | undefined> {
    try {
      return (await databaseExists()) ? new IndexedDbIndex(await openDatabase()) : undefined;
    } catch {
      return undefined; // No such storage.
    }
  }

  async models(): Promise<string[]> {
    const keys = await this.#wait(this.#database.getAllKeys("files"));
    return [...new Set(keys.map(([id]) => id))];
  }

  async files(id: string): Promise<StoredFile[]> {
    const keys = await this.#wait(this.#database.getAllKeys("files", keysOf(id)));
    return Promise.all(
      keys.map(async ([, name]) => {
        const size = (await this.#wait(this.#database.get("files", [id, name]))) ?? 0;
        return { name, size, stream: () => this.#stream(id, name, size) };
      }),
    );
  }

  async taken(id: string): Promise<number> {
    return BLOCK * (await this.#wait(this.#database.count("blocks", keysOf(id))));
  }

  async remove(id: string): Promise<void> {
    const transaction = this.#database.transaction(["files", "blocks"], "readwrite");
    const requests = [
      transaction.objectStore("files").delete(keysOf(id)),
      transaction.objectStore("blocks").delete(keysOf(id)),
      transaction.done,
    ];
    await this.#wait(Promise.all(requests));
  }

  close(): void {
    this.#database.close();
  }

  /** A file, block by block. */
  #stream(id: string, file: string, size: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    let number = 0;
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
      const length = Math.min(size - number * BLOCK, BLOCK);
      if (length <= 0) return controller.close();
      if ((await this.#wait(this.#database.get("files", [id, file]))) === undefined)
        throw lost(file);
      const block = new Uint8Array(length);
      block.set(
        (await this.#wait(this.#database.get("blocks", [id, file, number++])))?.subarray(
          0,
          length,
        ) ?? [],
      );
      controller.enqueue(block);
    };
    return new ReadableStream({ pull });
  }
}
