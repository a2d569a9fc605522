// Conversations as files: JSON that comes back whole, Markdown to read elsewhere.

import { shownPath } from "./tree.js";
import { type Conversation, type Message, newId } from "./types.js";

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
  constructor(readonly reason: "not-json" | "not-ours" | "newer" | "broken" | "refused", cause?: unknown) {
    super(reason, { cause });
  }
}

export function toJson(conversations: { conversation: Conversation; messages: Message[] }[]): string {
  const exchange: Exchange = {
    format: FORMAT,
    version: VERSION,
    exported: new Date().toISOString(),
    conversations: conversations.map(({ conversation, messages }) => ({ ...conversation, messages })),
  };
  return JSON.stringify(exchange, null, 2);
}

/** The conversations of a file under ids of their own, so that nothing that is there is overwritten. */
export function fromJson(text: string): { conversations: Conversation[]; messages: Message[] } {
  const exchange = parse(text);
  const conversations: Conversation[] = [];
  const messages: Message[] = [];
  for (const { messages: theirs, ...conversation } of exchange.conversations) {
    if (!isConversation(conversation) || !Array.isArray(theirs) || !theirs.every(isMessage)) throw new ImportError("broken");
    const ids = new Map(theirs.map(({ id }) => [id, newId()]));
    const renamed = (id: string) => ids.get(id) ?? id;
    const id = newId();
    const chosen = Object.fromEntries(Object.entries(conversation.chosen).map(([parent, child]) => [renamed(parent), renamed(child)]));
    const { deleted: _, ...rest } = conversation;
    conversations.push({ ...rest, id, chosen });
    for (const message of theirs) messages.push({ ...message, id: renamed(message.id), conversation: id, parent: message.parent && renamed(message.parent) });
  }
  return { conversations, messages };
}

function parse(text: string): Exchange {
  let value: Partial<Exchange> | null;
  try {
    value = JSON.parse(text) as Partial<Exchange> | null;
  } catch {
    throw new ImportError("not-json");
  }
  if (value?.format !== FORMAT || !Array.isArray(value.conversations)) throw new ImportError("not-ours");
  if (typeof value.version !== "number" || value.version > VERSION) throw new ImportError("newer");
  return value as Exchange;
}

function isConversation(value: Partial<Conversation>): value is Conversation {
  const texts = [value.title, value.instructions].every((text) => typeof text === "string");
  const times = [value.created, value.updated].every((time) => Number.isFinite(time));
  const style = value.style;
  const numbers = style && [style.temperature, style.topP, style.minP, style.repetitionPenalty, style.longest].every((number) => Number.isFinite(number));
  return Boolean(texts && times && numbers && typeof value.chosen === "object" && value.chosen);
}

function isMessage(value: Partial<Message>): value is Message {
  const texts = [value.id, value.content].every((text) => typeof text === "string");
  const parent = value.parent === null || typeof value.parent === "string";
  const isAttachment = (a: { name?: unknown; text?: unknown }) => typeof a.name === "string" && typeof a.text === "string";
  const attachments = Array.isArray(value.attachments) && value.attachments.every(isAttachment);
  return texts && parent && attachments && (value.role === "user" || value.role === "assistant") && Number.isFinite(value.created);
}

/** The branch that is shown, as a document. */
export function toMarkdown(conversation: Conversation, messages: Message[], names: Record<Message["role"], string>): string {
  const parts = shownPath(messages, conversation.chosen).map(({ message }) => {
    const attached = message.attachments.map(({ name }) => `*${name}*\n\n`).join("");
    return `## ${names[message.role]}\n\n${attached}${message.content.trim()}\n`;
  });
  const instructions = conversation.instructions && `> ${conversation.instructions.replaceAll("\n", "\n> ")}\n`;
  return [`# ${conversation.title}\n`, instructions, ...parts].filter(Boolean).join("\n");
}

/** A name that every file system takes. */
export function fileName(title: string, ending: string): string {
  const plain = title.replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ").replace(/\s+/g, " ").trim();
  return `${[...plain].slice(0, 60).join("").trim() || "phi"}.${ending}`;
}
