// What the engine notes down about a model that it keeps.

import { ABOUT } from "./storage.js";
import { type StoredFile, withIndexes } from "./storage-index.js";

/** Times are in milliseconds. */
export interface About {
  version: 1;
  name: string;
  source: string;
  bytes: number;
  stored: number;
  complete: boolean;
  created: number;
  used: number;
}

/** The note among a model's files; undefined where a kill came before it or into it. */
export async function readAbout(files: StoredFile[]): Promise<About | undefined> {
  const file = files.find(({ name }) => name === ABOUT);
  try {
    return file && (JSON.parse(await new Response(file.stream()).text()) as About);
  } catch {
    return undefined;
  }
}

/** What people call a model. */
export async function nameOf(id: string): Promise<string> {
  try {
    const notes = await withIndexes((indexes) =>
      Promise.all(indexes.map(async (index) => readAbout(await index.files(id)))),
    );
    return notes.find((about) => about?.name)!.name;
  } catch {
    return `the model ${id}`;
  }
}
