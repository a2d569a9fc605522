// Files in this thread's memory, where a browser keeps nothing: they are gone when the page is.

import { openStorage } from "./open.js";
import { BLOCK, endsEarly, noSuchFile, pieces, type Refusal, StorageFault, type Vault } from "./vault.js";

interface MemoryFile {
  size: number;
  /** What was written; a block that is missing is zeros. */
  blocks: (Uint8Array | undefined)[];
}

export class MemoryVault implements Vault {
  readonly kind = "memory";
  #files = new Map<string, MemoryFile>();

  constructor(readonly refused: readonly Refusal[] = []) {}

  size(file: string): number | undefined {
    return this.#files.get(file)?.size;
  }

  read(file: string, at: number, into: Uint8Array): void {
    const { size, blocks } = this.#existing(file);
    if (at + into.length > size) throw endsEarly(file, at, into.length, size);
    for (const { block, start, from, to } of pieces(at, into.length)) {
      const held = blocks[block];
      if (held) into.set(held.subarray(start, start + to - from), from);
      else into.fill(0, from, to);
    }
  }

  write(file: string, at: number, bytes: Uint8Array): void {
    const target = this.#made(file);
    for (const { block, start, from, to } of pieces(at, bytes.length)) (target.blocks[block] ??= newBlock()).set(bytes.subarray(from, to), start);
    if (bytes.length > 0) target.size = Math.max(target.size, at + bytes.length);
  }

  resize(file: string, size: number): void {
    const target = this.#made(file);
    target.size = size;
    target.blocks.length = Math.min(target.blocks.length, Math.ceil(size / BLOCK));
    if (size % BLOCK > 0) target.blocks[Math.floor(size / BLOCK)]?.fill(0, size % BLOCK);
  }

  flush(file: string): void {
    this.#existing(file);
  }

  remove(file: string): void {
    this.#files.delete(file);
  }

  close(): void {
    this.#files.clear();
  }

  #existing(file: string): MemoryFile {
    const found = this.#files.get(file);
    if (!found) throw noSuchFile(file);
    return found;
  }

  #made(file: string): MemoryFile {
    const found = this.#files.get(file) ?? { size: 0, blocks: [] };
    this.#files.set(file, found);
    return found;
  }
}

function newBlock(): Uint8Array {
  try {
    return new Uint8Array(BLOCK);
  } catch {
    throw new StorageFault("storage-full", "this tab has no memory left to keep the model in: close other tabs, or take a smaller model");
  }
}

/** As `openStorage`; where that has nothing, this thread's memory. */
export async function openVault(id: string, bytes: number): Promise<Vault> {
  const refused: Refusal[] = [];
  return (await openStorage(id, bytes, refused)) ?? new MemoryVault(refused);
}
