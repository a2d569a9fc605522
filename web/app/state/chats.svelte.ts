// The list of conversations: grouped by date, searched, renamed, thrown away and brought back.

import { channel } from "../browser/tabs.js";
import {
  allConversations,
  isKept,
  keepConversation,
  messagesOf,
  removeConversation,
  searchMessages,
  takeIn,
  watchKeeping,
} from "../data/database.js";
import { fromJson, ImportError, toJson } from "../data/exchange.js";
import type { Conversation } from "../data/types.js";
import { words } from "../words/words.svelte.js";
import { type Problem, refusalOf } from "./problems.js";
import { toasts } from "./toasts.svelte.js";

export interface Group {
  label: string;
  conversations: Conversation[];
}

const DAY = 86_400_000;

class Chats {
  all: Conversation[] = $state([]);
  /** False where all of them are gone when the page is closed. */
  kept = $state(true);
  /** Why the browser does not take what is new, while it does not. */
  refusal: Problem | undefined = $state.raw();
  query = $state("");
  /** The passages that a search has found, by conversation; undefined while there is no search. */
  found: Map<string, string> | undefined = $state.raw();
  #search: AbortController | undefined;
  /** Tells the app's other tabs that something has changed. */
  #tell = channel("phi-wasm-chats", () => void this.read());

  readonly shown = $derived.by(() => {
    const there = this.all.filter(({ deleted }) => !deleted).sort((a, b) => b.updated - a.updated);
    const query = this.query.trim().toLocaleLowerCase();
    if (!query) return there;
    return there.filter(
      ({ id, title }) => title.toLocaleLowerCase().includes(query) || this.found?.has(id),
    );
  });

  readonly groups = $derived(groupByDate(this.shown));

  constructor() {
    watchKeeping((error) => (this.refusal = error === undefined ? undefined : refusalOf(error)));
  }

  async read(): Promise<void> {
    this.all = await allConversations();
    this.kept = await isKept();
  }

  /** What was thrown away before the app was closed goes for good now. */
  async clean(): Promise<void> {
    for (const { id, deleted } of this.all)
      if (deleted && Date.now() - deleted > DAY) await removeConversation(id);
  }

  find(id: string): Conversation | undefined {
    return this.all.find((conversation) => conversation.id === id && !conversation.deleted);
  }

  async keep(conversation: Conversation): Promise<void> {
    const plain = $state.snapshot(conversation);
    await keepConversation(plain);
    if (!this.all.some(({ id }) => id === plain.id)) this.all.push(plain);
    else this.all = this.all.map((other) => (other.id === plain.id ? plain : other));
    this.#tell("changed");
  }

  async rename(id: string, title: string): Promise<void> {
    const conversation = this.find(id);
    if (conversation && title.trim()) await this.keep({ ...conversation, title: title.trim() });
  }

  /** With a way back. */
  async remove(ids: string[]): Promise<void> {
    const gone = ids
      .map((id) => this.find(id))
      .filter((conversation) => conversation !== undefined);
    for (const conversation of gone) await this.keep({ ...conversation, deleted: Date.now() });
    const undo = async () => {
      for (const { deleted: _, ...conversation } of gone) await this.keep(conversation);
    };
    const forGood = async () => {
      for (const { id } of gone) await removeConversation(id);
      await this.read();
    };
    toasts.show(
      words.t.drawer.deleted(gone.length),
      { label: words.t.drawer.undo, act: () => void undo() },
      () => void forGood(),
    );
  }

  async search(query: string): Promise<void> {
    this.query = query;
    this.#search?.abort();
    if (!query.trim()) return void (this.found = undefined);
    const search = new AbortController();
    this.#search = search;
    const found = await searchMessages(query.trim(), search.signal);
    if (!search.signal.aborted) this.found = found;
  }

  async exportJson(ids: string[]): Promise<string> {
    const chosen = this.all.filter(({ id }) => ids.includes(id));
    return toJson(
      await Promise.all(
        chosen.map(async (conversation) => ({
          conversation: $state.snapshot(conversation),
          messages: await messagesOf(conversation.id),
        })),
      ),
    );
  }

  /** How many came. Throws an ImportError. */
  async importJson(text: string): Promise<number> {
    const { conversations, messages } = fromJson(text);
    await takeIn(conversations, messages).catch((cause) => {
      throw new ImportError("refused", cause);
    });
    await this.read();
    this.#tell("changed");
    return conversations.length;
  }
}

function groupByDate(conversations: Conversation[]): Group[] {
  const today = new Date().setHours(0, 0, 0, 0);
  const label = ({ updated }: Conversation) => {
    const days = Math.ceil((today - updated) / DAY);
    if (days <= 1) return words.daysAgo(Math.max(0, days));
    if (days <= 7) return words.t.drawer.thisWeek;
    return words.month(updated);
  };
  return [...Map.groupBy(conversations, label)].map(([label, conversations]) => ({
    label,
    conversations,
  }));
}

export const chats = new Chats();
