// Files of the origin-private file system by synchronous handles, the fastest storage of browsers.

import { isCalled, isRefusal } from "../../shared/exceptions.js";
import { full } from "./room.js";
import {
  BLOCK,
  checkThere,
  endsEarly,
  failed,
  inUse,
  LOCK,
  lost,
  type ModelStorage,
  noSuchFile,
  PATIENCE,
  PLACE,
  pause,
} from "./storage.js";

/** What a synchronous handle is asked; older browsers answer some of it by promises. */
interface Handle {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void | Promise<void>;
  getSize(): number | Promise<number>;
  flush(): void | Promise<void>;
  close(): void | Promise<void>;
}

/** What browsers call it when another tab, or one that was killed just now, has a file. */
const BUSY = ["NoModificationAllowedError", "InvalidStateError"];

export class OpfsStorage implements ModelStorage {
  readonly kind = "opfs";
  readonly #folder: FileSystemDirectoryHandle;
  #open = new Map<string, Handle>();
  /** For each file, when the latest attempt to open it is over. */
  #attempts = new Map<string, Promise<unknown>>();
  /** What bytes in shared memory go through, where handles do not take them. */
  #scratch: Uint8Array | undefined;

  private constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  /**
   * Makes the model's directory and takes hold of it; throws where this browser, or this thread of
   * it, has no such files.
   */
  static async open(id: string): Promise<OpfsStorage> {
    if (!navigator.storage?.getDirectory)
      throw new Error("this browser has no file system of its own");
    if (!handlesAreSynchronous())
      throw new Error("this browser's files have no synchronous handles");
    const models = await (await navigator.storage.getDirectory()).getDirectoryHandle(PLACE, {
      create: true,
    });
    const storage = new OpfsStorage(await models.getDirectoryHandle(id, { create: true }));
    const lock = await storage.#with(LOCK, true, (handle) => handle!);
    await lock.truncate(0); // A kill while room was asked for leaves it long.
    if (!takesSharedMemory(lock)) storage.#scratch = new Uint8Array(BLOCK);
    return storage;
  }

  /** A file of zeros asks for real; the browser's estimates are guesses. */
  async askForRoom(bytes: number): Promise<void> {
    try {
      await this.#with(LOCK, true, (lock) => lock!.truncate(bytes), bytes);
    } finally {
      await this.#with(LOCK, true, (lock) => lock!.truncate(0));
      await this.#letGo(LOCK); // As long as a file is open, Chromium counts what it had.
      await this.#with(LOCK, true, () => {});
    }
  }

  size(file: string): number | undefined | Promise<number | undefined> {
    return this.#with<number | undefined>(file, false, (handle) => handle?.getSize());
  }

  read(file: string, at: number, into: Uint8Array): void | Promise<void> {
    const { length } = into;
    return this.#with(file, false, (handle) => {
      if (!handle) throw noSuchFile(file);
      checkThere(file, into, length);
      for (let done = 0; done < into.length; ) {
        const rest = into.subarray(done);
        const target = this.#scratch?.subarray(0, rest.length) ?? rest;
        const moved = handle.read(target, { at: at + done });
        if (moved === 0) throw endsEarly(file, at, into.length, at + done);
        if (target !== rest) rest.set(target.subarray(0, moved));
        done += moved;
      }
    });
  }

  write(file: string, at: number, bytes: Uint8Array): void | Promise<void> {
    // The caller's memory may move, or be used anew, before the file is open.
    if (!this.#open.has(file)) bytes = bytes.slice();
    const work = (handle: Handle | undefined) => {
      for (let done = 0; done < bytes.length; ) {
        const rest = bytes.subarray(done);
        const source = this.#scratch?.subarray(0, rest.length) ?? rest;
        if (source !== rest) source.set(rest.subarray(0, source.length));
        const moved = handle!.write(source, { at: at + done });
        if (moved === 0) throw new DOMException("nothing was written", "QuotaExceededError");
        done += moved;
      }
    };
    return this.#with(file, true, work, at + bytes.length);
  }

  resize(file: string, size: number): void | Promise<void> {
    return this.#with(file, true, (handle) => handle!.truncate(size), size);
  }

  flush(file: string): void | Promise<void> {
    return this.#with(file, false, async (handle) => {
      if (!handle) throw noSuchFile(file);
      await handle.flush();
      // Where the system lets an open file be deleted, it goes on taking bytes that nobody will
      // ever find again.
      if (await this.#isCleared()) throw lost(file);
    });
  }

  async remove(file: string): Promise<void> {
    await this.#letGo(file);
    try {
      await patiently(() => this.#folder.removeEntry(file));
    } catch (error) {
      if (!isCalled(error, "NotFoundError")) throw failed(file, error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#attempts.keys()].map((file) => this.#letGo(file)));
  }

  /**
   * Has `work` done with a file's handle, at once if it is open; `end` is how long the file may
   * become by it.
   */
  #with<T>(
    file: string,
    create: boolean,
    work: (handle: Handle | undefined) => T | Promise<T>,
    end = 0,
  ): T | Promise<T> {
    const explain = (error: unknown) => this.#explain(file, end, error);
    const open = this.#open.get(file);
    if (!open) return this.#openOnce(file, create).then(work).catch(explain);
    try {
      const result = work(open);
      return result instanceof Promise ? result.catch(explain) : result;
    } catch (error) {
      return explain(error);
    }
  }

  /** A file's handle; undefined where there is no file and none shall be made. */
  #openOnce(file: string, create: boolean): Promise<Handle | undefined> {
    const earlier = this.#attempts.get(file) ?? Promise.resolve();
    const attempt = earlier.then(() => this.#open.get(file) ?? this.#openFile(file, create));
    this.#attempts.set(
      file,
      attempt.catch(() => {}),
    );
    return attempt;
  }

  async #openFile(file: string, create: boolean): Promise<Handle | undefined> {
    let entry: FileSystemFileHandle & { createSyncAccessHandle(): Promise<Handle> };
    try {
      entry = (await this.#folder.getFileHandle(file, { create })) as typeof entry;
    } catch (error) {
      if (!create && isCalled(error, "NotFoundError")) return undefined;
      throw error;
    }
    const handle = await patiently(() => entry.createSyncAccessHandle()).catch((error) => {
      throw isCalled(error, ...BUSY) ? inUse(file === LOCK ? "the model" : file) : error;
    });
    this.#open.set(file, handle);
    return handle;
  }

  async #letGo(file: string): Promise<void> {
    await this.#attempts.get(file);
    const handle = this.#open.get(file);
    this.#open.delete(file);
    await handle?.close();
  }

  /** Says what an exception of the browser means. */
  async #explain(file: string, end: number, error: unknown): Promise<never> {
    if (isCalled(error, "StorageFault")) throw error;
    if (this.#open.has(LOCK) && (await this.#isCleared())) throw lost(file);
    if (!isRefusal(error)) throw failed(file, error);
    const handle = this.#open.get(file);
    const size = (await handle?.getSize()) ?? 0;
    // Without growth it is the disk that has no room for what was promised, and nobody tells how
    // much.
    if (!handle || end <= size) throw full();
    const granted = await largest(handle, size, end);
    await this.#letGo(file); // Or Chromium counts what was only tried.
    throw full(end - size, end - granted);
  }

  /** Whether the file that is open all the time is there no more, or closed all the same. */
  async #isCleared(): Promise<boolean> {
    try {
      await this.#open.get(LOCK)?.getSize();
      await this.#folder.getFileHandle(LOCK);
      return false;
    } catch {
      return true;
    }
  }
}

/** Whether files can be opened by name; on a page's thread that is all that can be known. */
export async function hasOpfs(): Promise<boolean> {
  const inWorker = typeof document === "undefined";
  if (inWorker && !handlesAreSynchronous()) return false;
  try {
    await navigator.storage.getDirectory();
    return true;
  } catch {
    return false;
  }
}

/** Never on a page's thread. */
function handlesAreSynchronous(): boolean {
  return (
    typeof FileSystemFileHandle !== "undefined" &&
    "createSyncAccessHandle" in FileSystemFileHandle.prototype
  );
}

/** How long a file of `size` bytes can become, near enough, where `refused` bytes are too many. */
async function largest(handle: Handle, size: number, refused: number): Promise<number> {
  let granted = size;
  while (refused - granted > 4096) {
    const middle = Math.floor((granted + refused) / 2);
    try {
      await handle.truncate(middle);
      granted = middle;
    } catch {
      refused = middle;
    }
  }
  await handle.truncate(size);
  return granted;
}

/** The memory of threads is shared. */
function takesSharedMemory(handle: Handle): boolean {
  if (typeof SharedArrayBuffer === "undefined") return true;
  try {
    handle.read(new Uint8Array(new SharedArrayBuffer(1)), { at: 0 });
    return true;
  } catch {
    return false;
  }
}

/** Tries again while a file is busy. */
export async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + PATIENCE; ; await pause(20)) {
    try {
      return await act();
    } catch (error) {
      if (!isCalled(error, ...BUSY) || performance.now() > end) throw error;
    }
  }
}
