// What goes wrong, by name, with the one thing to do about it.

import { isRefusal } from "../../src/storage/room.js";
import { why } from "../../src/storage/vault.js";
import { words } from "../words/words.svelte.js";

export type Action = "retry" | "cpu" | "smaller" | "storage" | "choose" | "new-chat" | "reload";

export interface Problem {
  code: string;
  title: string;
  /** The engine's own sentence. */
  detail: string;
  action: Action;
}

/** The engine's stable codes; what is not here can be tried again. */
const ACTIONS: Record<string, Action> = {
  "no-gpu": "cpu",
  "gpu-failed": "cpu",
  "out-of-memory": "smaller",
  "storage-full": "storage",
  "prompt-too-long": "new-chat",
  "context-full": "new-chat",
  "not-a-model": "choose",
  "not-found": "choose",
  malformed: "choose",
  "unsupported-architecture": "choose",
  "unsupported-tensor": "choose",
  "missing-tensor": "choose",
  "wrong-shape": "choose",
  "bad-config": "choose",
  "bad-tokenizer": "choose",
  "bad-template": "choose",
  internal: "reload",
};

export function problemOf(error: unknown): Problem {
  const { code = "internal", message = String(error) } = error as { code?: string; message?: string };
  const titles: Record<string, string> = words.t.problems;
  const name = code === "network" && !navigator.onLine ? "offline" : code;
  return { code, title: titles[name] ?? words.t.problems.internal, detail: message, action: ACTIONS[code] ?? "retry" };
}

/** Why the browser does not take what is new. */
export function refusalOf(error: unknown): Problem {
  const isFull = isRefusal(error);
  return { code: isFull ? "storage-full" : "not-written", title: words.t.notWritten, detail: why(error), action: isFull ? "storage" : "retry" };
}
