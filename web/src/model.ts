// What callers name as a model, turned into what the engine reads: an address, files or what is stored.

import { InputError } from "./errors.js";
import { pinned } from "./hub.js";
import { whole } from "./start.js";
import type { EngineOptions } from "./protocol.js";
import type { StoredModel } from "./storage/index.js";
import type { LoadOptions } from "./types.js";

export async function resolveModel(model: LoadOptions["model"], signal?: AbortSignal): Promise<EngineOptions["model"]> {
  if (typeof model === "string" && model !== "") return pinned(addressOf(model), signal);
  if (model instanceof Blob || (Array.isArray(model) && model.every((file) => file instanceof File))) return model;
  if (isHandle(model)) return model.kind === "file" ? (await model.getFile()) : filesOf(model);
  if (isStored(model)) return fromStorage(model);
  throw new InputError("bad-option", "model is neither an address nor files: give one of them");
}

function addressOf(model: string): string {
  try {
    return whole(model);
  } catch {
    throw new InputError("bad-option", `${model} is not a web address: give one such as https://host/model.gguf`);
  }
}

function isHandle(model: unknown): model is FileSystemDirectoryHandle | FileSystemFileHandle {
  return typeof FileSystemHandle !== "undefined" && model instanceof FileSystemHandle;
}

function isStored(model: unknown): model is StoredModel {
  return typeof model === "object" && model !== null && "id" in model && "storedBytes" in model;
}

/** Where it is when all of it is stored, else where it came from. */
function fromStorage({ id, name, source, complete }: StoredModel): EngineOptions["model"] {
  if (complete) return { stored: id, name: source || name };
  if (/^https?:/.test(source)) return source;
  throw new InputError("bad-option", `${name} is not all stored, and it came from files: choose them again`);
}

async function filesOf(folder: FileSystemDirectoryHandle): Promise<File[]> {
  const files: File[] = [];
  for await (const entry of folder.values()) if (entry.kind === "file") files.push(await entry.getFile());
  return files;
}
