// What callers name as a model, turned into what the engine reads: an address or files.

import { InputError } from "./errors.js";
import { pinned } from "./hub.js";
import { whole } from "./start.js";
import type { LoadOptions } from "./types.js";

export async function resolveModel(model: LoadOptions["model"], signal?: AbortSignal): Promise<string | Blob | File[]> {
  if (typeof model === "string" && model !== "") return pinned(addressOf(model), signal);
  if (model instanceof Blob || (Array.isArray(model) && model.every((file) => file instanceof File))) return model;
  if (isHandle(model)) return model.kind === "file" ? (await model.getFile()) : filesOf(model);
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

async function filesOf(folder: FileSystemDirectoryHandle): Promise<File[]> {
  const files: File[] = [];
  for await (const entry of folder.values()) if (entry.kind === "file") files.push(await entry.getFile());
  return files;
}
