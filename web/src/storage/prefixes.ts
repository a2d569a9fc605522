// What was read of prompts and outlives the page: keys and values, page by page, in a database of
// their own. (WebKit forgets its cache of responses with a private window's page.)

import { type DBSchema, type IDBPDatabase, type IDBPObjectStore, openDB } from "idb";
import { waitOn } from "../../shared/databases.js";
import { isRefusal } from "../../shared/exceptions.js";
import { databaseExists, keysOf } from "./indexeddb.js";
import { full } from "./room.js";
import { failed, PLACE } from "./storage.js";

interface Schema extends DBSchema {
  /** [model, name] → a page. */
  pages: { key: [string, string]; value: Uint8Array };
  /**
   * [model, name] → when it was used, in uses. The name "" is there from when a model's are opened
   * until they are deleted.
   */
  uses: { key: [string, string]; value: number };
}

type Database = IDBPDatabase<Schema>;
type Store<Name extends "pages" | "uses"> = IDBPObjectStore<
  Schema,
  ("pages" | "uses")[],
  Name,
  "readwrite"
>;

const NAME = `${PLACE}/prefixes`;

export interface Prefixes {
  /** A model's id; all models, unless said otherwise. */
  model?: string;
  /** The `prompt_cache_key` of the requests; all of them, unless said otherwise. */
  promptCacheKey?: string;
}

/** The pages of a model. */
export class PrefixPages {
  readonly #model: string;

  private constructor(model: string) {
    this.#model = model;
  }

  static async open(model: string): Promise<PrefixPages> {
    await withDatabase((database) => database.put("uses", 0, [model, ""]));
    return new PrefixPages(model);
  }

  /** Names, what was not used for longest first; undefined where all was deleted. */
  list(): Promise<string[] | undefined> {
    return withDatabase(async (database) => {
      const { store } = database.transaction("uses");
      const range = keysOf(this.#model);
      const [keys, uses] = await Promise.all([store.getAllKeys(range), store.getAll(range)]);
      if (keys[0]?.[1] !== "") return undefined;
      const names = keys.map(([, name], at) => ({ name, used: uses[at]! })).slice(1);
      return names.sort((a, b) => a.used - b.used).map(({ name }) => name);
    });
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return withDatabase((database) => database.get("pages", [this.#model, name]));
  }

  write(name: string, bytes: Uint8Array): Promise<void> {
    // The caller's memory may be shared, and used anew before all is written.
    const own = bytes.slice();
    return withDatabase((database) =>
      change(database, async (pages, uses) => {
        // Nobody wants more of what was deleted.
        if ((await uses.getKey([this.#model, ""])) === undefined) return;
        await uses.put(await this.#next(uses), [this.#model, name]);
        await pages.put(own, [this.#model, name]);
      }),
    );
  }

  remove(name: string): Promise<void> {
    return withDatabase((database) => remove(database, [[this.#model, name]]));
  }

  /** Takes note that these were used, the last of them last. */
  touch(names: string[]): Promise<void> {
    return withDatabase((database) =>
      change(database, async (_, uses) => {
        let next = await this.#next(uses);
        for (const name of names)
          if ((await uses.getKey([this.#model, name])) !== undefined)
            await uses.put(next++, [this.#model, name]);
      }),
    );
  }

  async #next(uses: Store<"uses">): Promise<number> {
    return (
      (await uses.getAll(keysOf(this.#model))).reduce((most, use) => Math.max(most, use), 0) + 1
    );
  }
}

/** Deletes what was read of prompts and kept. */
export async function deletePrefixes({ model, promptCacheKey }: Prefixes = {}): Promise<void> {
  if (!(await databaseExists(NAME))) return;
  const tag = promptCacheKey === undefined ? "" : await tagOf(promptCacheKey);
  await withDatabase(async (database) => {
    const keys = await database.getAllKeys("uses", model === undefined ? null : keysOf(model));
    await remove(
      database,
      keys.filter(([, name]) => name.includes(tag)),
    );
  });
}

function remove(database: Database, keys: [string, string][]): Promise<void> {
  return change(database, async (pages, uses) => {
    await Promise.all(keys.flatMap((key) => [pages.delete(key), uses.delete(key)]));
  });
}

/** All of it, or nothing. */
async function change(
  database: Database,
  act: (pages: Store<"pages">, uses: Store<"uses">) => Promise<void>,
): Promise<void> {
  const stores = database.transaction(["pages", "uses"], "readwrite");
  await Promise.all([act(stores.objectStore("pages"), stores.objectStore("uses")), stores.done]);
}

async function withDatabase<T>(act: (database: Database) => Promise<T>): Promise<T> {
  try {
    const database = await openDB<Schema>(NAME, 1, {
      upgrade(database) {
        database.createObjectStore("pages");
        database.createObjectStore("uses");
      },
    });
    try {
      return await waitOn(database)(act(database));
    } finally {
      database.close();
    }
  } catch (error) {
    throw isRefusal(error) ? full() : failed("what was read of prompts", error);
  }
}

/** The part of a page's name that tells whose it is; crate/prefix_cache has the same. */
async function tagOf(key: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  const bytes = [...new Uint8Array(hash, 0, 8)];
  return `.${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}.`;
}
