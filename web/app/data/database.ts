// Everything that is asked of kept conversations.

import { isCalled } from "../../shared/exceptions.js";
import {
  type Base,
  type Change,
  deleteDatabase,
  keyOf,
  MemoryBase,
  type Name,
  openDatabase,
  type Value,
} from "./base.js";
import { contactOf, conversationOf, draftOf, messageOf } from "./known.js";
import type { Contact, Conversation, Draft, Message } from "./types.js";
import { Unwritten } from "./unwritten.js";

let opened: Promise<Base> | undefined;
/**
 * Whether there was a database once: then it is waited for, and memory does not stand in for it.
 */
let hasDatabase = false;
const unwritten = new Unwritten();
let sealed = false;
let hear: (refusal: unknown) => void = () => {};

function base(): Promise<Base> {
  return (opened ??= open());
}

async function open(): Promise<Base> {
  try {
    const database = await openDatabase(() => (opened = undefined));
    hasDatabase = true;
    return database;
  } catch (error) {
    if (!hasDatabase) return new MemoryBase();
    opened = undefined;
    throw error;
  }
}

/** Does something with the database; one that was closed is opened anew. */
async function withBase<T>(act: (base: Base) => Promise<T>): Promise<T> {
  const from = base();
  try {
    return await act(await from);
  } catch (error) {
    if (!isCalled(error, "InvalidStateError", "AbortError")) throw error;
    if (opened === from) opened = undefined;
    return act(await base());
  }
}

/**
 * `heard` is told why the browser refuses to keep something, and undefined once all of it is kept.
 */
export function watchKeeping(heard: (refusal: unknown) => void): void {
  hear = heard;
}

/** Has changes written. What is refused is tried again with whatever comes next. */
function keep(changes: Change[]): Promise<void> {
  unwritten.add(changes);
  return keepOn();
}

/** Tries to write what is not written yet. */
export async function keepOn(): Promise<void> {
  try {
    await withBase(write);
    if (unwritten.all.length === 0) hear(undefined);
  } catch (error) {
    // A later write may have taken it along.
    hear(unwritten.all.length === 0 ? undefined : error);
  }
}

async function write(base: Base): Promise<void> {
  const changes = unwritten.all;
  if (changes.length === 0 || sealed) return;
  await base.change(changes);
  unwritten.written(changes);
}

/** Whether anything outlives this page. */
export async function isKept(): Promise<boolean> {
  return !((await base()) instanceof MemoryBase);
}

export async function allConversations(): Promise<Conversation[]> {
  return unwritten.over(
    "conversations",
    known(await withBase((base) => base.all("conversations")), conversationOf),
  );
}

export async function messagesOf(conversation: string): Promise<Message[]> {
  const messages = unwritten.over(
    "messages",
    known(await withBase((base) => base.messagesOf(conversation)), messageOf),
  );
  return messages.filter((message) => message.conversation === conversation);
}

/**
 * What was kept, as far as it is what it should be: other programs, and earlier versions, may have
 * written there.
 */
function known<T>(rows: unknown[], read: (row: unknown) => T | undefined): T[] {
  return rows.flatMap((row) => read(row) ?? []);
}

/**
 * Whether it is still there: browsers clear what they keep when the user or a full disk wants it.
 */
export async function hasConversation(id: string): Promise<boolean> {
  return (await find("conversations", id)) !== undefined;
}

export function keepConversation(conversation: Conversation): Promise<void> {
  return keep([{ store: "conversations", put: conversation }]);
}

export function keepMessage(message: Message): Promise<void> {
  return keep([{ store: "messages", put: message }]);
}

export function keepWhole(conversation: Conversation, messages: Message[]): Promise<void> {
  return keep(puts([conversation], messages));
}

/** All at once, or none and the reason is thrown. */
export async function takeIn(conversations: Conversation[], messages: Message[]): Promise<void> {
  await withBase((base) => base.change(puts(conversations, messages)));
}

function puts(conversations: Conversation[], messages: Message[]): Change[] {
  return [
    ...conversations.map((put) => ({ store: "conversations", put }) as const),
    ...messages.map((put) => ({ store: "messages", put }) as const),
  ];
}

/** For good. */
export async function removeConversation(id: string): Promise<void> {
  // All of them, whatever they are.
  const messages = await withBase((base) => base.messagesOf(id));
  const ids = new Set([...messages, ...(await messagesOf(id))].map(({ id }) => id));
  const changes: Change[] = [...ids].map((id) => ({ store: "messages", remove: id }));
  await keep([...changes, { store: "conversations", remove: id }, { store: "drafts", remove: id }]);
}

/**
 * The conversations in which one message holds all the words, with the place in one of them to
 * show.
 */
export async function searchMessages(
  query: string,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const found = new Map<string, string>();
  const look = (row: Message) => {
    const { conversation, content } = messageOf(row) ?? { conversation: "", content: "" };
    const lower = content.toLocaleLowerCase();
    if (!found.has(conversation) && words.every((word) => lower.includes(word)))
      found.set(conversation, excerpt(content, lower.indexOf(words[0]!)));
    return !signal.aborted;
  };
  unwritten.over("messages", []).forEach(look);
  await withBase((base) => base.eachMessage(look));
  return found;
}

function excerpt(content: string, at: number): string {
  const start = Math.max(0, at - 24);
  return `${start > 0 ? "…" : ""}${content
    .slice(start, at + 60)
    .replace(/\s+/g, " ")
    .trim()}`;
}

export async function readDraft(conversation: string): Promise<Draft | undefined> {
  return draftOf(await find("drafts", conversation));
}

async function find<N extends Name>(store: N, key: string): Promise<Value<N> | undefined> {
  const kept = await withBase((base) => base.get(store, key));
  return unwritten.over(store, kept ? [kept] : []).find((value) => keyOf(store, value) === key);
}

export function keepDraft(draft: Draft): Promise<void> {
  const empty = draft.text === "" && draft.attachments.length === 0;
  return keep([{ store: "drafts", ...(empty ? { remove: draft.conversation } : { put: draft }) }]);
}

export async function contacts(): Promise<Contact[]> {
  return known(await withBase((base) => base.all("contacts")), contactOf);
}

/** One more request to a host. */
export async function noteContact(host: string): Promise<void> {
  const oneMore = (known?: Contact) => ({
    host,
    requests: (known?.requests ?? 0) + 1,
    last: Date.now(),
  });
  await withBase((base) => base.replace("contacts", host, oneMore)).catch((error) => hear(error));
}

export function countKept(): Promise<{ conversations: number; messages: number; drafts: number }> {
  return withBase(async (base) => {
    const [conversations, messages, drafts] = await Promise.all([
      base.count("conversations"),
      base.count("messages"),
      base.count("drafts"),
    ]);
    return { conversations, messages, drafts };
  });
}

/** Writes nothing from now on: everything is about to be removed, by this tab or another one. */
export function seal(): void {
  sealed = true;
}

/** Removes everything; waits until other tabs have let go of it. */
export async function wipeDatabase(): Promise<void> {
  const kept = await isKept();
  (await opened)?.close();
  opened = undefined;
  if (kept) await deleteDatabase();
}

/** Writes again: not everything could be removed. */
export function unseal(): void {
  sealed = false;
  void keepOn();
}
