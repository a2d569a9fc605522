// Conversations as files: JSON that comes back whole, Markdown to read elsewhere.

import { conversationOf, messageOf } from "./known.js";
import { shownPath } from "./tree.js";
import { type Conversation, type Message, newId, ROOT } from "./types.js";

const FORMAT = "phi-wasm-chats";
const VERSION = 1;

export interface Exchange {
  format: typeof FORMAT;
  version: number;
  exported: string;
  conversations: (Conversation & { messages: Message[] })[];
}

/** Why a file is not taken. The app has a sentence for each. */
export class ImportError extends Error {
  constructor(
    readonly reason: "not-json" | "not-ours" | "newer" | "broken" | "refused",
    cause?: unknown,
  ) {
    super(reason, { cause });
  }
}

export function toJson(
  conversations: { conversation: Conversation; messages: Message[] }[],
): string {
  const exchange: Exchange = {
    format: FORMAT,
    version: VERSION,
    exported: new Date().toISOString(),
    conversations: conversations.map(({ conversation, messages }) => ({
      ...conversation,
      messages,
    })),
  };
  return JSON.stringify(exchange, null, 2);
}

/**
 * The conversations of a file under ids of their own, so that nothing that is there is overwritten.
 */
export function fromJson(text: string): { conversations: Conversation[]; messages: Message[] } {
  const taken = parse(text).conversations.map(renamed);
  return {
    conversations: taken.map(({ conversation }) => conversation),
    messages: taken.flatMap(({ messages }) => messages),
  };
}

function broken(what: string): never {
  throw new ImportError("broken", what);
}

/** One conversation with its messages, built anew. */
function renamed(value: unknown): { conversation: Conversation; messages: Message[] } {
  // Whoever hears of something that is wrong does not return.
  const { deleted: _, ...conversation } = conversationOf(value, broken)!;
  const { messages: theirs } = value as { messages: unknown };
  if (!Array.isArray(theirs)) broken("a conversation has no list of messages");
  const id = newId();
  // Whose conversation it is, the place in the file tells.
  const messages = theirs.map(
    (message: unknown) =>
      messageOf(isObject(message) ? { ...message, conversation: id } : message, broken)!,
  );
  const ids = new Map(messages.map((message) => [message.id, newId()]));
  if (ids.size < messages.length) broken("two messages have one id");
  const own = led(messages).map((message) => ({
    ...message,
    id: ids.get(message.id)!,
    parent: message.parent && ids.get(message.parent)!,
  }));
  const chosen = Object.entries(conversation.chosen).flatMap(([parent, child]) => {
    const [from, to] = [parent === ROOT ? ROOT : ids.get(parent), ids.get(child)];
    return from && to ? [[from, to]] : [];
  });
  return {
    conversation: { ...conversation, id, chosen: Object.fromEntries(chosen) },
    messages: own,
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Those that a beginning leads to; others are never shown. */
function led(messages: Message[]): Message[] {
  const children = Map.groupBy(messages, ({ parent }) => parent);
  const found = [...(children.get(null) ?? [])];
  for (const { id } of found) for (const next of children.get(id) ?? []) found.push(next);
  return found;
}

function parse(text: string): { conversations: unknown[] } {
  let value: Partial<Exchange> | null;
  try {
    value = JSON.parse(text) as Partial<Exchange> | null;
  } catch {
    throw new ImportError("not-json");
  }
  if (value?.format !== FORMAT || !Array.isArray(value.conversations))
    throw new ImportError("not-ours");
  if (typeof value.version !== "number" || value.version > VERSION) throw new ImportError("newer");
  return { conversations: value.conversations };
}

/** The branch that is shown, as a document. */
export function toMarkdown(
  conversation: Conversation,
  messages: Message[],
  names: Record<Message["role"], string>,
): string {
  const parts = shownPath(messages, conversation.chosen).map(({ message }) => {
    const attached = message.attachments.map(({ name }) => `*${name}*\n\n`).join("");
    return `## ${names[message.role]}\n\n${attached}${message.content.trim()}\n`;
  });
  const instructions =
    conversation.instructions && `> ${conversation.instructions.replaceAll("\n", "\n> ")}\n`;
  return [`# ${conversation.title}\n`, instructions, ...parts].filter(Boolean).join("\n");
}

/** A name that every file system takes. */
export function fileName(title: string, ending: string): string {
  const plain = title
    .replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ")
    .replace(/\s+/g, " ")
    .trim();
  return `${[...plain].slice(0, 60).join("").trim() || "phi"}.${ending}`;
}
