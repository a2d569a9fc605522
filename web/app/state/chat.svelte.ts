// One conversation that is open: its branches, and how they grow.

import { hasConversation, keepMessage, keepWhole, messagesOf } from "../data/database.js";
import { type Place, shownPath } from "../data/tree.js";
import { type Attachment, type Conversation, type Message, newId, ROOT } from "../data/types.js";
import { answers } from "./answers.svelte.js";
import { chats } from "./chats.svelte.js";
import { settings } from "./settings.svelte.js";

const TITLE_LENGTH = 60;

export class Chat {
  conversation: Conversation = $state()!;
  messages: Message[] = $state([]);
  /** False until its first question: before that nothing of it is kept. */
  begun = $state(false);

  readonly path: Place[] = $derived(shownPath(this.messages, this.conversation.chosen));

  private constructor(conversation: Conversation) {
    this.conversation = conversation;
  }

  static fresh(): Chat {
    const now = Date.now();
    return new Chat({
      id: newId(),
      title: "",
      created: now,
      updated: now,
      instructions: settings.instructions,
      style: $state.snapshot(settings.style),
      chosen: {},
    });
  }

  /**
   * From storage; undefined if there is no such conversation. One that is being answered is given
   * as it is.
   */
  static async open(id: string): Promise<Chat | undefined> {
    if (answers.current?.chat.conversation.id === id) return answers.current.chat;
    const conversation = chats.find(id);
    if (!conversation) return undefined;
    const chat = new Chat($state.snapshot(conversation));
    chat.messages = await messagesOf(id);
    chat.begun = true;
    await chat.#markInterrupted();
    return chat;
  }

  /** Asks a question at the end of what is shown. */
  async ask(content: string, attachments: Attachment[]): Promise<void> {
    await this.#branch(this.path.at(-1)?.message.id ?? null, content, attachments);
  }

  /** The same place with other words: a version of its own, and an answer to it. */
  async edit(message: Message, content: string): Promise<void> {
    await this.#branch(message.parent, content, message.attachments);
  }

  /** Another answer to the same question. */
  async again({ parent }: Message): Promise<void> {
    await this.#answer(parent!);
  }

  /** Goes on with an answer that broke off. */
  async resume(message: Message): Promise<void> {
    await this.#restore();
    await answers.resume(this, message);
  }

  async show(version: Message): Promise<void> {
    this.conversation.chosen[version.parent ?? ROOT] = version.id;
    await this.keep();
  }

  async keep(): Promise<void> {
    if (this.begun) await chats.keep(this.conversation);
  }

  /** The messages up to and with this one. */
  upTo(id: string): Message[] {
    const branch: Message[] = [];
    for (
      let message = this.#find(id);
      message;
      message = message.parent === null ? undefined : this.#find(message.parent)
    )
      branch.unshift(message);
    return branch;
  }

  #find(id: string): Message | undefined {
    return this.messages.find((message) => message.id === id);
  }

  /**
   * Keeps all of it anew where the browser has cleared it meanwhile: who goes on with a
   * conversation wants it.
   */
  async #restore(): Promise<void> {
    if (await hasConversation(this.conversation.id).catch(() => false)) return;
    await keepWhole($state.snapshot(this.conversation), $state.snapshot(this.messages));
  }

  async #branch(parent: string | null, content: string, attachments: Attachment[]): Promise<void> {
    const question = this.#add({
      parent,
      role: "user",
      content,
      attachments: $state.snapshot(attachments),
      state: "done",
    });
    this.begun = true;
    this.conversation.title ||= titleOf(question);
    await keepMessage($state.snapshot(question));
    await this.#answer(question.id);
  }

  async #answer(parent: string): Promise<void> {
    const answer = this.#add({
      parent,
      role: "assistant",
      content: "",
      attachments: [],
      state: "writing",
    });
    this.conversation.updated = Date.now();
    await this.#restore();
    await this.keep();
    await answers.write(this, answer);
  }

  #add(rest: Pick<Message, "parent" | "role" | "content" | "attachments" | "state">): Message {
    const message: Message = {
      id: newId(),
      conversation: this.conversation.id,
      created: Date.now(),
      ...rest,
    };
    this.messages.push(message);
    this.conversation.chosen[message.parent ?? ROOT] = message.id;
    return this.messages.at(-1)!;
  }

  /**
   * An answer that claims to be under way, and that no tab holds any more, was killed with its tab.
   */
  async #markInterrupted(): Promise<void> {
    for (const message of this.messages) {
      if (message.state !== "writing" || (await answers.isHeld(message.id))) continue;
      message.state = "interrupted";
      await keepMessage($state.snapshot(message));
    }
  }
}

function titleOf({ content, attachments }: Message): string {
  const line = content.trim().split("\n")[0] || attachments[0]?.name || "";
  return line.length > TITLE_LENGTH
    ? `${line.slice(0, TITLE_LENGTH).replace(/\s+\S*$/, "")}…`
    : line;
}
