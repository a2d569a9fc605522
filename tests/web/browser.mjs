// What the page's sources expect of a browser, as far as these tests need it: to be imported before
// them.

/** One cache, which keeps its answers in memory. */
class Kept {
  #answers = new Map();

  async match(address) {
    return this.#answers.get(address)?.clone();
  }

  async put(address, answer) {
    this.#answers.set(address, answer);
  }
}

/** Caches as a page has them. */
export class Caches {
  #kept = new Map();

  async open(name) {
    if (!this.#kept.has(name)) this.#kept.set(name, new Kept());
    return this.#kept.get(name);
  }
}

const stand = (name, value) =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

stand("self", globalThis);
stand("location", new URL("https://page.example/app/"));
stand("navigator", { languages: ["en"], onLine: true });
stand("crossOriginIsolated", false);

// Node has it from 21 on.
Map.groupBy ??= (items, keyOf) => {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
};
