// What callers name as a model, turned into what the engine reads: an address, files or what is
// stored.

import { unpacked } from "./archive.js";
import { shown } from "./check.js";
import { InputError } from "./errors.js";
import { pinned } from "./hub.js";
import type { EngineOptions } from "./protocol.js";
import { whole } from "./start.js";
import type { StoredModel } from "./storage/index.js";
import type { LoadOptions } from "./types.js";

export type Resolved = Pick<EngineOptions, "model" | "sha256">;

type Asker = Pick<LoadOptions, "signal" | "token">;

export async function resolveModel(model: LoadOptions["model"], asker: Asker): Promise<Resolved> {
  if (typeof model === "string" && model !== "") return at(addressOf(model), asker);
  if (model instanceof Blob) return { model: await unpacked(model) };
  if (Array.isArray(model) && model.every((file) => file instanceof File))
    return { model: model.length === 1 ? await unpacked(model[0]!) : model };
  if (isHandle(model))
    return {
      model: model.kind === "file" ? await unpacked(await model.getFile()) : await filesOf(model),
    };
  if (isStored(model)) return fromStorage(model, asker);
  throw new InputError("bad-option", "model is neither an address nor files: give one of them");
}

async function at(place: string, asker: Asker): Promise<Resolved> {
  const { address, sha256 } = await pinned(place, asker);
  return { model: address, sha256 };
}

function addressOf(model: string): string {
  try {
    const address = whole(model);
    // No other file lies beside what these hold.
    if (!/^(blob|data):/.test(address)) return address;
  } catch {
    // As refused as those.
  }
  throw new InputError(
    "bad-option",
    `${shown(model)} is not a web address: give one such as https://host/model.gguf, or the ` +
      "file itself",
  );
}

function isHandle(model: unknown): model is FileSystemDirectoryHandle | FileSystemFileHandle {
  return typeof FileSystemHandle !== "undefined" && model instanceof FileSystemHandle;
}

function isStored(model: unknown): model is StoredModel {
  return typeof model === "object" && model !== null && "id" in model && "storedBytes" in model;
}

/** Where it is when all of it is stored, else where it came from. */
async function fromStorage(
  { id, name, source, complete }: StoredModel,
  asker: Asker,
): Promise<Resolved> {
  if (complete) return { model: { stored: id, name: source || name } };
  if (/^https?:/.test(source)) return at(source, asker);
  throw new InputError(
    "bad-option",
    `${name} is not all stored, and it came from files: choose them again`,
  );
}

async function filesOf(folder: FileSystemDirectoryHandle): Promise<File[]> {
  const files: File[] = [];
  for await (const entry of folder.values())
    if (entry.kind === "file") files.push(await entry.getFile());
  return files;
}
