// What the app keeps of conversations. A conversation is a tree: editing or answering again adds a
// branch, and nothing is overwritten.

export type Role = "user" | "assistant";

/** A text that goes along with a question. */
export interface Attachment {
  id: string;
  name: string;
  text: string;
  /** As the loaded model counts; absent until it has. */
  tokens?: number;
}

/** What an answer cost. */
export interface Figures {
  tokens: number;
  tokensPerSecond: number;
  promptTokens: number;
  cachedTokens: number;
  prefillPerSecond: number;
  backend: string;
}

/**
 * `interrupted`: its tab was killed while it was written; `cut`: the longest answer or the end of
 * the context was reached.
 */
export type MessageState = "done" | "writing" | "stopped" | "interrupted" | "cut" | "failed";

export interface Message {
  id: string;
  conversation: string;
  /** The message before; null begins the conversation. */
  parent: string | null;
  role: Role;
  content: string;
  attachments: Attachment[];
  created: number;
  state: MessageState;
  /** The model that answered. */
  model?: string;
  figures?: Figures;
  /** What happened meanwhile, in sentences. */
  notes?: string[];
}

/** How freely the model words its answers. */
export interface Style {
  preset: "precise" | "balanced" | "creative" | "own";
  temperature: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  /** Tokens of an answer at the most. */
  longest: number;
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  /** The system prompt; empty for the model's own. */
  instructions: string;
  style: Style;
  /** Which branch is shown after each message; `root` is the key for the beginning. */
  chosen: Record<string, string>;
  /** When it was thrown away; it goes for good once nobody can undo that any more. */
  deleted?: number;
}

/** What was typed and not sent. */
export interface Draft {
  conversation: string;
  text: string;
  attachments: Attachment[];
}

/** A computer that this page has asked for something. */
export interface Contact {
  host: string;
  requests: number;
  last: number;
}

export const ROOT = "root";

export function newId(): string {
  return crypto.randomUUID();
}
