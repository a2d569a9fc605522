// From a branch of messages to what the model is asked.

import type { Message } from "./types.js";

export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

/** Tokens that the chat template puts around a message; an upper bound for the models on offer. */
const TEMPLATE_TOKENS = 8;
/**
 * Turns left out of a long conversation at a time: the same beginning stays in the model's cache
 * for a while.
 */
const STEP = 4;

/** A message with its documents before it. */
export function contentOf({
  content,
  attachments,
}: Pick<Message, "content" | "attachments">): string {
  const documents = attachments.map(
    ({ name, text }) => `<document name="${name.replaceAll('"', "'")}">\n${text}\n</document>\n\n`,
  );
  return documents.join("") + content;
}

/**
 * The tokens that a prompt may have, when an answer of up to `longest` is to find room: at least
 * half of the context is the prompt's.
 */
export function promptRoom(contextLength: number, longest: number): number {
  return contextLength - Math.min(longest, Math.floor(contextLength / 2));
}

/**
 * As many of the latest turns as find room, and how many older ones do not. Instructions always
 * stay, and so does the question, with the beginning of its answer, if there is one.
 */
export async function fit(
  instructions: string,
  turns: Turn[],
  room: number,
  count: (text: string) => Promise<number>,
): Promise<{ turns: Turn[]; left: number }> {
  const system: Turn[] = instructions ? [{ role: "system", content: instructions }] : [];
  // A token is a byte at least: what fits in bytes need not be counted.
  const most = [...system, ...turns].reduce(
    (sum, { content }) => sum + new TextEncoder().encode(content).length + TEMPLATE_TOKENS,
    0,
  );
  if (most <= room) return { turns: [...system, ...turns], left: 0 };
  const sizes = await Promise.all(
    turns.map(async ({ content }) => (await count(content)) + TEMPLATE_TOKENS),
  );
  const fixed = instructions ? (await count(instructions)) + TEMPLATE_TOKENS : 0;
  const last = turns.length - (turns.at(-1)?.role === "assistant" ? 2 : 1);
  let left = 0;
  const total = () => fixed + sizes.slice(left).reduce((sum, size) => sum + size, 0);
  while (total() > room && left < last) left = Math.min(left + STEP, last);
  // A conversation begins with the user.
  if (left > 0 && turns[left]!.role !== "user" && left < last) left++;
  return { turns: [...system, ...turns.slice(left)], left };
}
