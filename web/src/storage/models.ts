// The models that are kept: what there is, deleting, taking out. On a page's thread as well as in a
// worker.

import { isCalled } from "../../shared/exceptions.js";
import { asPhiError } from "../errors.js";
import { type About, nameOf, readAbout } from "./about.js";
import { holdModel } from "./lock.js";
import { deletePrefixes } from "./prefixes.js";
import {
  failed,
  inUse,
  LOCK,
  lost,
  OWN_FILES,
  PATIENCE,
  StorageFault,
  type StorageKind,
} from "./storage.js";
import { openIndexes, type StorageIndex, type StoredFile, withIndexes } from "./storage-index.js";

export interface StoredModel {
  id: string;
  /** What people call it; its id, where a kill left nothing to tell. */
  name: string;
  /** Where it came from; empty if nothing tells. */
  source: string;
  /** Bytes of the whole model. */
  bytes: number;
  /** How many of them are there. */
  storedBytes: number;
  /** Whether it can be used without the network. */
  complete: boolean;
  lastUsed: Date;
  kind: StorageKind;
}

/** All models, those begun included, the latest used first. */
export function listModels(): Promise<StoredModel[]> {
  return withIndexes(async (indexes) => {
    const found = new Map<string, StoredModel>();
    for (const index of indexes) {
      for (const id of await index.models()) {
        const files = await index.files(id);
        // One that was never found leaves a place and nothing in it.
        if (files.every(({ name }) => name === LOCK)) continue;
        const model = await describe(index, id, files);
        if (!found.get(id)?.complete) found.set(id, model);
      }
    }
    return [...found.values()].sort((a, b) => Number(b.lastUsed) - Number(a.lastUsed));
  });
}

async function describe(
  index: StorageIndex,
  id: string,
  files: StoredFile[],
): Promise<StoredModel> {
  const about = await readAbout(files);
  const {
    name = id,
    source = "",
    bytes = 0,
    stored = 0,
    complete = false,
    created = 0,
    used = created,
  } = about ?? {};
  return {
    id,
    name,
    source,
    bytes,
    storedBytes: stored,
    complete,
    lastUsed: new Date(used),
    kind: index.kind,
  };
}

/**
 * Deletes a model, what was read with it, and whatever a killed tab left of it; one that is not
 * there is deleted already.
 */
export async function deleteModel(id: string): Promise<void> {
  // An engine that was told to unload a moment ago may still be at it.
  const release = await holdModel(id, { patience: PATIENCE });
  try {
    await withIndexes((indexes) => Promise.all(indexes.map((index) => index.remove(id))));
    await deletePrefixes({ model: id });
  } catch (error) {
    const name = await nameOf(id);
    throw isCalled(error, "NoModificationAllowedError") ? inUse(name) : failed(name, error);
  } finally {
    release();
  }
}

/**
 * A complete model as a tar archive: one directory with its files as the engine made them. The
 * model may be in use meanwhile.
 */
export async function exportModel(id: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const indexes = await openIndexes();
  const close = () => {
    for (const index of indexes) index.close();
  };
  try {
    const { about, files } = await findComplete(indexes, id);
    return await tar(about, files, close);
  } catch (error) {
    close();
    throw error;
  }
}

async function findComplete(
  indexes: StorageIndex[],
  id: string,
): Promise<{ about: About; files: StoredFile[] }> {
  let begun: About | undefined;
  for (const index of indexes) {
    const files = await index.files(id);
    const about = await readAbout(files);
    if (about?.complete)
      return { about, files: files.filter(({ name }) => !OWN_FILES.includes(name)) };
    begun ??= about;
  }
  if (!begun) throw new StorageFault("not-found", `the model ${id} is not stored: load it first`);
  throw new StorageFault(
    "truncated",
    `of ${begun.name} only ${begun.stored} of ${begun.bytes} bytes are stored: load it to its ` +
      "end first",
  );
}

async function tar(
  about: About,
  files: StoredFile[],
  onEnd: () => void,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const { createTarPacker } = await import("modern-tar");
  const { readable, controller } = createTarPacker();
  const folder = about.name.replace(/.*\//, "").replace(/[^\w.-]+/g, "-");
  const pack = async (file: StoredFile) => {
    const entry = controller.add({
      name: `${folder}/${file.name}`,
      type: "file",
      size: file.size,
      mtime: new Date(about.created),
      mode: 0o644,
    });
    await file
      .stream()
      .pipeTo(entry, { preventAbort: true })
      .catch((error) => {
        throw isCalled(error, "NotFoundError", "NotReadableError", "InvalidStateError")
          ? lost(file.name)
          : error;
      });
  };
  const packAll = async () => {
    for (const file of files) await pack(file);
    controller.finalize();
  };
  packAll()
    .catch((error) => controller.error(asPhiError(error)))
    .finally(onEnd);
  return readable;
}
