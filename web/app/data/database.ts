// Everything that is asked of kept conversations.

import { type Base, type Change, deleteDatabase, MemoryBase, openDatabase } from "./base.js";
import type { Contact, Conversation, Draft, Message } from "./types.js";

let opened: Promise<Base> | undefined;

function base(): Promise<Base> {
  return (opened ??= openDatabase(() => (opened = undefined)).catch(() => new MemoryBase()));
}

/** Whether anything outlives this page. */
export async function isKept(): Promise<boolean> {
  return !((await base()) instanceof MemoryBase);
}

export async function allConversations(): Promise<Conversation[]> {
  return (await base()).all("conversations");
}

export async function messagesOf(conversation: string): Promise<Message[]> {
  return (await base()).messagesOf(conversation);
}

export async function keepConversation(conversation: Conversation): Promise<void> {
  await (await base()).change([{ store: "conversations", put: conversation }]);
}

export async function keepMessage(message: Message): Promise<void> {
  await (await base()).change([{ store: "messages", put: message }]);
}

/** All at once or none, for imports. */
export async function keepMany(conversations: Conversation[], messages: Message[]): Promise<void> {
  const changes: Change[] = [
    ...conversations.map((put) => ({ store: "conversations", put }) as const),
    ...messages.map((put) => ({ store: "messages", put }) as const),
  ];
  await (await base()).change(changes);
}

/** For good. */
export async function removeConversation(id: string): Promise<void> {
  const messages = await messagesOf(id);
  const changes: Change[] = messages.map(({ id }) => ({ store: "messages", remove: id }));
  await (await base()).change([...changes, { store: "conversations", remove: id }, { store: "drafts", remove: id }]);
}

/** The conversations in which one message holds all the words, with the place in one of them to show. */
export async function searchMessages(query: string, signal: AbortSignal): Promise<Map<string, string>> {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const found = new Map<string, string>();
  await (await base()).eachMessage(({ conversation, content }) => {
    const lower = content.toLocaleLowerCase();
    if (!found.has(conversation) && words.every((word) => lower.includes(word))) found.set(conversation, excerpt(content, lower.indexOf(words[0]!)));
    return !signal.aborted;
  });
  return found;
}

function excerpt(content: string, at: number): string {
  const start = Math.max(0, at - 24);
  return `${start > 0 ? "…" : ""}${content.slice(start, at + 60).replace(/\s+/g, " ").trim()}`;
}

export async function readDraft(conversation: string): Promise<Draft | undefined> {
  return (await base()).get("drafts", conversation);
}

export async function keepDraft(draft: Draft): Promise<void> {
  const empty = draft.text === "" && draft.attachments.length === 0;
  await (await base()).change([{ store: "drafts", ...(empty ? { remove: draft.conversation } : { put: draft }) }]);
}

export async function contacts(): Promise<Contact[]> {
  return (await base()).all("contacts");
}

/** One more request to a host. */
export async function noteContact(host: string): Promise<void> {
  await (await base()).replace("contacts", host, (known) => ({ host, requests: (known?.requests ?? 0) + 1, last: Date.now() }));
}

export async function countKept(): Promise<{ conversations: number; messages: number; drafts: number }> {
  const from = await base();
  const [conversations, messages, drafts] = await Promise.all([from.count("conversations"), from.count("messages"), from.count("drafts")]);
  return { conversations, messages, drafts };
}

/** Removes everything; waits until other tabs have let go of it. */
export async function wipeDatabase(): Promise<void> {
  const kept = await isKept();
  (await opened)?.close();
  opened = undefined;
  if (kept) await deleteDatabase();
}
