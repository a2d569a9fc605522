// What is to be written and is not yet: who reads sees it as if it were. A browser may refuse it
// for as long as the disk is full.

import { type Change, keyOf, type Name, type Value } from "./base.js";

export class Unwritten {
  /** The last change of each thing. */
  #changes = new Map<string, Change>();

  get all(): Change[] {
    return [...this.#changes.values()];
  }

  add(changes: Change[]): void {
    for (const change of changes) this.#changes.set(nameOf(change), change);
  }

  /** These are written; what was changed again meanwhile is not. */
  written(changes: Change[]): void {
    for (const change of changes)
      if (this.#changes.get(nameOf(change)) === change) this.#changes.delete(nameOf(change));
  }

  /** What a store will hold, of what it holds. */
  over<N extends Name>(store: N, rows: Value<N>[]): Value<N>[] {
    const held = new Map(rows.map((row) => [keyOf(store, row), row]));
    for (const change of this.all) {
      if (change.store !== store) continue;
      if ("remove" in change) held.delete(change.remove);
      else held.set(keyOf(change.store, change.put), structuredClone(change.put) as Value<N>);
    }
    return [...held.values()];
  }
}

function nameOf(change: Change): string {
  return `${change.store}/${"remove" in change ? change.remove : keyOf(change.store, change.put)}`;
}
