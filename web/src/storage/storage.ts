// What the engine sees of a browser's storage, and what all kinds of it share.

import type { Code } from "../../../pkg/simd/phi_wasm.js";
import { why } from "../../shared/exceptions.js";
import { saysNoMemory } from "../memory.js";

/** From the best to the poorest; what is in memory is gone when the page is. */
export type StorageKind = "opfs" | "indexeddb" | "memory";

/** A kind of storage that could not be taken, and why. */
export interface Refusal {
  kind: StorageKind;
  why: string;
}

/**
 * What the engine sees of one model's files, in a worker. Methods return a value at once where the
 * storage can (OPFS, from a file's second touch on) and otherwise a promise. What they throw, or
 * reject with, is a {@link StorageFault}. A write makes its file, and makes it longer, as needed;
 * no bytes make it no longer. What `resize` adds has room from then on and is zeros, or that is
 * where the browser refuses. After a flush storage had not been cleared so far. A file that is not
 * there is removed already.
 */
export type { ModelStorage } from "../../../pkg/simd/phi_wasm.js";

export type StorageCode = Among<
  Code,
  | "storage-full"
  | "storage-lost"
  | "in-use"
  | "io"
  | "not-found"
  | "truncated"
  | "cancelled"
  | "out-of-memory"
>;

/** Some of the names that there are, and no other. */
type Among<All, Some extends All> = Some;

/** A sentence for people and a stable code for programs. */
export class StorageFault extends Error {
  override readonly name = "StorageFault";
  /** With "storage-full": the bytes that are missing, where that can be known. */
  readonly missing: number | undefined;

  constructor(
    readonly code: StorageCode,
    message: string,
    { missing, cause }: { missing?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.missing = missing;
  }
}

/** Where everything lies: a directory in OPFS, a database in IndexedDB, the names of locks. */
export const PLACE = "phi-wasm";

/** What the engine notes down about a model. */
export const ABOUT = "about.json";

/**
 * A file in OPFS that is held open as long as the storage of a model, so that no other tab can have
 * the model.
 */
export const LOCK = "lock";

/** Files that belong to the keeping of a model and not to the model. */
export const OWN_FILES: readonly string[] = [ABOUT, "journal", "hashed", LOCK];

/**
 * How long a file is tried to be opened: the lock of a killed worker outlives it by about 50 ms.
 */
export const PATIENCE = 2000;

/** Bytes of a block, in storages that keep blocks. */
export const BLOCK = 1 << 20;

/** A stretch of a file that lies in one block. */
export interface Piece {
  block: number;
  /** Where it begins in its block. */
  start: number;
  /** Which of the caller's bytes it holds. */
  from: number;
  to: number;
}

/** `length` bytes from `at` on, block by block. */
export function pieces(at: number, length: number): Piece[] {
  const found: Piece[] = [];
  for (let from = 0; from < length; ) {
    const start = (at + from) % BLOCK;
    const to = Math.min(from + BLOCK - start, length);
    found.push({ block: Math.floor((at + from) / BLOCK), start, from, to });
    from = to;
  }
  return found;
}

export function noSuchFile(file: string): StorageFault {
  return new StorageFault("not-found", `${file} is not stored: load the model again to fetch it`);
}

export function endsEarly(file: string, at: number, length: number, size: number): StorageFault {
  return new StorageFault(
    "io",
    `${file} ends at byte ${size}, but bytes ${at} to ${at + length} of it were asked for: ` +
      "load the model again",
  );
}

/**
 * Throws if memory that was to be read into was moved during a wait, as wasm's is when it grows
 * without being shared.
 */
export function checkThere(file: string, into: Uint8Array, length: number): void {
  if (into.length !== length)
    throw new StorageFault(
      "io",
      `${file}: the memory to read it into was moved meanwhile; load the model again`,
    );
}

export function lost(file: string): StorageFault {
  return new StorageFault(
    "storage-lost",
    `${file} is gone: the browser's storage was cleared while the model was in use; load the ` +
      "model again to fetch it",
  );
}

export function inUse(file: string): StorageFault {
  return new StorageFault(
    "in-use",
    `${file} is in use by another tab or window of this site: close it there, then load the ` +
      "model again",
  );
}

export function failed(file: string, error: unknown): StorageFault {
  const code = saysNoMemory(error) ? "out-of-memory" : "io";
  return new StorageFault(
    code,
    `${file}: the browser's storage failed (${why(error)}); load the model again`,
    { cause: error },
  );
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
