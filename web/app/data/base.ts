// Where conversations lie: in IndexedDB, or, where the browser keeps nothing for this page, in
// memory until the page is closed.

import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from "idb";
import { type Wait, waitOn } from "../../shared/databases.js";
import type { Contact, Conversation, Draft, Message } from "./types.js";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
  messages: { key: string; value: Message; indexes: { conversation: string } };
  drafts: { key: string; value: Draft };
  contacts: { key: string; value: Contact };
}

const KEYS = {
  conversations: "id",
  messages: "id",
  drafts: "conversation",
  contacts: "host",
} as const;
const NAMES = ["conversations", "messages", "drafts", "contacts"] as const;

export type Name = (typeof NAMES)[number];
export type Value<N extends Name> = Schema[N]["value"];

/** What something is found by in its store. */
export function keyOf<N extends Name>(store: N, value: Value<N>): string {
  return (value as unknown as Record<string, string>)[KEYS[store]]!;
}

/** What is to be there, or no longer to be there. */
export type Change = { [N in Name]: { store: N } & ({ put: Value<N> } | { remove: string }) }[Name];

export interface Base {
  get<N extends Name>(store: N, key: string): Promise<Value<N> | undefined>;
  all<N extends Name>(store: N): Promise<Value<N>[]>;
  count(store: Name): Promise<number>;
  messagesOf(conversation: string): Promise<Message[]>;
  /** One after the other, for as long as `visit` wants more. */
  eachMessage(visit: (message: Message) => boolean): Promise<void>;
  /** All at once or none. */
  change(changes: Change[]): Promise<void>;
  /** Nobody else writes it meanwhile. */
  replace<N extends Name>(
    store: N,
    key: string,
    next: (before: Value<N> | undefined) => Value<N>,
  ): Promise<void>;
  close(): void;
}

const NAME = "phi-wasm-chats";

/**
 * The database; `onEnd` hears that it is closed: by the browser, or for another tab that removes
 * it. Rejects where the browser keeps none.
 */
export async function openDatabase(onEnd: () => void): Promise<Base> {
  const database = await openDB<Schema>(NAME, 1, {
    upgrade(db) {
      db.createObjectStore("conversations", { keyPath: KEYS.conversations });
      db.createObjectStore("messages", { keyPath: KEYS.messages }).createIndex(
        "conversation",
        "conversation",
      );
      db.createObjectStore("drafts", { keyPath: KEYS.drafts });
      db.createObjectStore("contacts", { keyPath: KEYS.contacts });
    },
    // Another tab wants to remove it, or, with a newer version of the app, to upgrade it: let it.
    blocking(_current, _blocked, event) {
      (event.target as IDBDatabase).close();
      onEnd();
    },
    terminated: onEnd,
  });
  return new DatabaseBase(database);
}

/** Removes the whole database; waits until other tabs have let go of it. */
export function deleteDatabase(): Promise<void> {
  return deleteDB(NAME);
}

class DatabaseBase implements Base {
  readonly #database: IDBPDatabase<Schema>;
  readonly #wait: Wait;

  constructor(database: IDBPDatabase<Schema>) {
    this.#database = database;
    this.#wait = waitOn(database);
  }

  get<N extends Name>(store: N, key: string): Promise<Value<N> | undefined> {
    return this.#wait(this.#database.get(store, key));
  }

  all<N extends Name>(store: N): Promise<Value<N>[]> {
    return this.#wait(this.#database.getAll(store));
  }

  count(store: Name): Promise<number> {
    return this.#wait(this.#database.count(store));
  }

  messagesOf(conversation: string): Promise<Message[]> {
    return this.#wait(this.#database.getAllFromIndex("messages", "conversation", conversation));
  }

  async eachMessage(visit: (message: Message) => boolean): Promise<void> {
    let cursor = await this.#wait(this.#database.transaction("messages").store.openCursor());
    while (cursor && visit(cursor.value)) cursor = await this.#wait(cursor.continue());
  }

  async change(changes: Change[]): Promise<void> {
    const transaction = this.#database.transaction(NAMES, "readwrite");
    for (const change of changes) {
      const store = transaction.objectStore(change.store);
      void ("put" in change ? store.put(change.put) : store.delete(change.remove));
    }
    await this.#wait(transaction.done);
  }

  async replace<N extends Name>(
    store: N,
    key: string,
    next: (before: Value<N> | undefined) => Value<N>,
  ): Promise<void> {
    const transaction = this.#database.transaction(NAMES, "readwrite");
    const held = transaction.objectStore(store);
    await this.#wait(held.put(next(await this.#wait(held.get(key)))));
    await this.#wait(transaction.done);
  }

  close(): void {
    this.#database.close();
  }
}

export class MemoryBase implements Base {
  #stores = Object.fromEntries(NAMES.map((name) => [name, new Map()])) as {
    [N in Name]: Map<string, Value<N>>;
  };

  async get<N extends Name>(store: N, key: string): Promise<Value<N> | undefined> {
    return structuredClone(this.#stores[store].get(key));
  }

  async all<N extends Name>(store: N): Promise<Value<N>[]> {
    return structuredClone([...this.#stores[store].values()]);
  }

  async count(store: Name): Promise<number> {
    return this.#stores[store].size;
  }

  async messagesOf(conversation: string): Promise<Message[]> {
    return (await this.all("messages")).filter((message) => message.conversation === conversation);
  }

  async eachMessage(visit: (message: Message) => boolean): Promise<void> {
    for (const message of this.#stores.messages.values()) if (!visit(message)) return;
  }

  async change(changes: Change[]): Promise<void> {
    for (const change of changes) {
      const store = this.#stores[change.store] as Map<string, unknown>;
      if ("remove" in change) store.delete(change.remove);
      else store.set(keyOf(change.store, change.put), structuredClone(change.put));
    }
  }

  async replace<N extends Name>(
    store: N,
    key: string,
    next: (before: Value<N> | undefined) => Value<N>,
  ): Promise<void> {
    this.#stores[store].set(key, next(this.#stores[store].get(key)));
  }

  close(): void {}
}
