// A conversation's branches: which messages are shown, and which others stand in the same place.

import { type Conversation, type Message, ROOT } from "./types.js";

/** One message that is shown, and its versions in the order in which they were written. */
export interface Place {
  message: Message;
  versions: Message[];
}

/**
 * The messages from the beginning to the end of the branch that is chosen; the latest version where
 * nothing is.
 */
export function shownPath(messages: Message[], chosen: Conversation["chosen"]): Place[] {
  const children = Map.groupBy(messages, ({ parent }) => parent ?? ROOT);
  for (const versions of children.values()) versions.sort((a, b) => a.created - b.created);
  const path: Place[] = [];
  for (let versions = children.get(ROOT); versions?.length; ) {
    const parent = versions[0]!.parent ?? ROOT;
    const message: Message = versions.find(({ id }) => id === chosen[parent]) ?? versions.at(-1)!;
    path.push({ message, versions });
    versions = children.get(message.id);
  }
  return path;
}

/** The version `step` places on, if there is one. */
export function neighbour({ message, versions }: Place, step: number): Message | undefined {
  return versions[versions.indexOf(message) + step];
}
