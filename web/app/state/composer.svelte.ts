// What is being typed, with the documents beside it. It survives a reload and a change of
// conversation.

import { keepDraft, readDraft } from "../data/database.js";
import { promptRoom } from "../data/prompt.js";
import { type Attachment, newId } from "../data/types.js";
import { words } from "../words/words.svelte.js";
import { answers } from "./answers.svelte.js";
import { engine } from "./engine.svelte.js";
import { toasts } from "./toasts.svelte.js";

/** Pastes longer than this are documents. */
export const LONG_PASTE = 2_000;
/** Larger files are no texts to talk about. */
const LARGEST_FILE = 4_000_000;
const SAVE_AFTER = 300;

class Composer {
  text = $state("");
  attachments: Attachment[] = $state([]);
  /**
   * The conversation that is shown, and the one whose draft is here whole: none while it is being
   * read.
   */
  #wanted = "";
  #key = "";
  #saving: ReturnType<typeof setTimeout> | undefined;

  /** Fetches the draft of a conversation. `NEW` is the one that has not begun. */
  async open(key: string): Promise<void> {
    if (key === this.#wanted) return;
    const saved = this.#save();
    this.#wanted = key;
    this.#key = "";
    this.text = "";
    this.attachments = [];
    await saved;
    const draft = await readDraft(key);
    if (this.#wanted !== key || this.#key === key) return;
    this.#key = key;
    // Who types sooner than the draft comes goes on with it.
    if (this.text !== "" || this.attachments.length > 0) this.changed();
    this.text = (draft?.text ?? "") + this.text;
    this.attachments = [...(draft?.attachments ?? []), ...this.attachments];
  }

  /** Called after every change. */
  changed(): void {
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => void this.#save(), SAVE_AFTER);
  }

  /** Gives away what was typed. */
  take(): { text: string; attachments: Attachment[] } {
    const taken = { text: this.text.trim(), attachments: $state.snapshot(this.attachments) };
    this.text = "";
    this.attachments = [];
    void this.#save();
    return taken;
  }

  attach(name: string, text: string): void {
    this.attachments.push({ id: newId(), name, text });
    this.changed();
    void this.count();
  }

  detach(id: string): void {
    this.attachments = this.attachments.filter((attachment) => attachment.id !== id);
    this.changed();
  }

  async attachFiles(files: Iterable<File>): Promise<void> {
    for (const file of files) {
      const text = file.size <= LARGEST_FILE ? await readText(file) : undefined;
      if (text === undefined) toasts.fail(words.t.composer.notText(file.name));
      else this.attach(file.name, text);
    }
  }

  /** Has the loaded model count the documents that are not counted yet. */
  async count(): Promise<void> {
    for (const attachment of this.attachments) {
      if (!engine.ready) return;
      attachment.tokens ??= await answers.count(attachment.text);
    }
  }

  /** Keeps as much of a document's beginning as the model can read. */
  async shorten(attachment: Attachment, room: number): Promise<void> {
    while ((attachment.tokens ?? 0) > room) {
      const keep = Math.floor((attachment.text.length * room * 0.98) / attachment.tokens!);
      attachment.text = attachment.text.slice(0, keep);
      attachment.tokens = await answers.count(attachment.text);
    }
    this.changed();
  }

  async #save(): Promise<void> {
    clearTimeout(this.#saving);
    if (this.#key)
      await keepDraft({
        conversation: this.#key,
        text: this.text,
        attachments: $state.snapshot(this.attachments),
      });
  }
}

/** The draft of the conversation that has not begun. */
export const NEW = "new";

/** Tokens left for documents, when a question and the words around it are to fit too. */
export function documentRoom(longest: number): number {
  const QUESTION = 200;
  return Math.max(0, promptRoom(engine.description?.ctxLen ?? 0, longest) - QUESTION);
}

/** A file's text, or undefined when it is something else. */
async function readText(file: File): Promise<string | undefined> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}

export const composer = new Composer();
