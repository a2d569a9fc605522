// Conversations in IndexedDB. Everything that other files do with it goes through here.

import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from "idb";
import type { Contact, Conversation, Draft, Message } from "./types.js";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
  messages: { key: string; value: Message; indexes: { conversation: string } };
  drafts: { key: string; value: Draft };
  contacts: { key: string; value: Contact };
}

const NAME = "phi-wasm-chats";
let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  return (opened ??= openDB<Schema>(NAME, 1, {
    upgrade(db) {
      db.createObjectStore("conversations", { keyPath: "id" });
      db.createObjectStore("messages", { keyPath: "id" }).createIndex("conversation", "conversation");
      db.createObjectStore("drafts", { keyPath: "conversation" });
      db.createObjectStore("contacts", { keyPath: "host" });
    },
    // A newer version of the app in another tab wants to upgrade: let it.
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
    terminated: () => (opened = undefined),
  }));
}

export async function allConversations(): Promise<Conversation[]> {
  return (await database()).getAll("conversations");
}

export async function messagesOf(conversation: string): Promise<Message[]> {
  return (await database()).getAllFromIndex("messages", "conversation", conversation);
}

export async function keepConversation(conversation: Conversation): Promise<void> {
  await (await database()).put("conversations", conversation);
}

export async function keepMessage(message: Message): Promise<void> {
  await (await database()).put("messages", message);
}

/** All at once or none, for imports. */
export async function keepMany(conversations: Conversation[], messages: Message[]): Promise<void> {
  const change = (await database()).transaction(["conversations", "messages"], "readwrite");
  for (const conversation of conversations) void change.objectStore("conversations").put(conversation);
  for (const message of messages) void change.objectStore("messages").put(message);
  await change.done;
}

/** For good. */
export async function removeConversation(id: string): Promise<void> {
  const change = (await database()).transaction(["conversations", "messages", "drafts"], "readwrite");
  const messages = change.objectStore("messages");
  for (const key of await messages.index("conversation").getAllKeys(id)) void messages.delete(key);
  void change.objectStore("conversations").delete(id);
  void change.objectStore("drafts").delete(id);
  await change.done;
}

/** The conversations in which one message holds all the words, with the place in one of them to show. */
export async function searchMessages(query: string, signal: AbortSignal): Promise<Map<string, string>> {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const found = new Map<string, string>();
  let cursor = await (await database()).transaction("messages").store.openCursor();
  while (cursor && !signal.aborted) {
    const { conversation, content } = cursor.value;
    const lower = content.toLocaleLowerCase();
    if (!found.has(conversation) && words.every((word) => lower.includes(word))) found.set(conversation, excerpt(content, lower.indexOf(words[0]!)));
    cursor = await cursor.continue();
  }
  return found;
}

function excerpt(content: string, at: number): string {
  const start = Math.max(0, at - 24);
  return `${start > 0 ? "…" : ""}${content.slice(start, at + 60).replace(/\s+/g, " ").trim()}`;
}

export async function readDraft(conversation: string): Promise<Draft | undefined> {
  return (await database()).get("drafts", conversation);
}

export async function keepDraft(draft: Draft): Promise<void> {
  const empty = draft.text === "" && draft.attachments.length === 0;
  const db = await database();
  await (empty ? db.delete("drafts", draft.conversation) : db.put("drafts", draft));
}

export async function contacts(): Promise<Contact[]> {
  return (await database()).getAll("contacts");
}

/** One more request to a host. */
export async function noteContact(host: string): Promise<void> {
  const change = (await database()).transaction("contacts", "readwrite");
  const known = await change.store.get(host);
  await change.store.put({ host, requests: (known?.requests ?? 0) + 1, last: Date.now() });
  await change.done;
}

export async function countKept(): Promise<{ conversations: number; messages: number; drafts: number }> {
  const db = await database();
  const [conversations, messages, drafts] = await Promise.all([db.count("conversations"), db.count("messages"), db.count("drafts")]);
  return { conversations, messages, drafts };
}

/** Removes the whole database; waits until other tabs have let go of it. */
export async function wipeDatabase(): Promise<void> {
  (await opened)?.close();
  opened = undefined;
  await deleteDB(NAME);
}
