// Work on an IndexedDB that may be closed meanwhile.

import type { DBSchema, IDBPDatabase } from "idb";

/** Waits for work on a database, or throws what a closed one throws. */
export type Wait = <T>(work: Promise<T>) => Promise<T>;

/**
 * How to wait for work on this database: when a browser closes one to clear storage, Firefox leaves
 * what waits for it without an answer.
 */
export function waitOn<S extends DBSchema>(database: IDBPDatabase<S>): Wait {
  // No race with one promise of the end: older engines hold every outcome of such races, blocks of
  // weights too, until the database is closed.
  const waiting = new Set<(reason: DOMException) => void>();
  database.addEventListener("close", () => {
    for (const reject of waiting)
      reject(new DOMException("The browser has closed the database.", "InvalidStateError"));
  });
  return (work) =>
    new Promise((resolve, reject) => {
      waiting.add(reject);
      work.then(resolve, reject).finally(() => waiting.delete(reject));
    });
}
