// What goes wrong, by name, with the one thing to do about it.

import { isRefusal, why } from "../../shared/exceptions.js";
import type { Code, MemoryError } from "../../src/index.js";
import { words } from "../words/words.svelte.js";

export type Action =
  | "retry"
  | "cpu"
  | "shorter"
  | "storage"
  | "choose"
  | "file"
  | "folder"
  | "new-chat"
  | "again";

/** What the app has words for: the engine's codes, and what it meets itself. */
export type ProblemName = Code | "offline" | "not-written";

/** A problem in the app's language; without a text where the engine's own sentence says it. */
export interface Said {
  title: string;
  text?: string;
}

export interface Problem {
  code: string;
  name: ProblemName;
  /** The engine's own sentence, in English. */
  detail: string;
  action: Action;
  /** The longest context that has room, where the engine knows. */
  contextLength?: number | undefined;
}

/** The engine's stable codes; what is not here can be tried again. */
const ACTIONS: Record<string, Action> = {
  "no-gpu": "cpu",
  "gpu-failed": "cpu",
  "out-of-memory": "shorter",
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
  internal: "again",
};

export function problemOf(error: unknown): Problem {
  const {
    code = "internal",
    message = String(error),
    contextLength,
  } = error as Partial<MemoryError>;
  const name =
    code === "network" && !navigator.onLine
      ? "offline"
      : code in words.t.problems
        ? (code as ProblemName)
        : "internal";
  return { code, name, detail: message, action: ACTIONS[code] ?? "retry", contextLength };
}

/** What is wrong with files stays so however often they are read: others may do. */
const OF_FILES = ["truncated", "malformed", "corrupt", "io"];

/** About a model in files that the user has picked. */
export function problemOfFiles(error: unknown, [file]: File[]): Problem {
  const problem = problemOf(error);
  if (!OF_FILES.includes(problem.code)) return problem;
  return { ...problem, action: file?.webkitRelativePath ? "folder" : "file" };
}

/** Why the browser does not take what is new. */
export function refusalOf(error: unknown): Problem {
  const isFull = isRefusal(error);
  return {
    code: isFull ? "storage-full" : "not-written",
    name: "not-written",
    detail: why(error),
    action: isFull ? "storage" : "retry",
  };
}

/** In a line. */
export function inOneLine({ name, detail }: Problem): string {
  const { title, text = detail } = words.t.problems[name];
  return `${title}: ${text}`;
}
