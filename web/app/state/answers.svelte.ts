// The answer that is being written. There is one at a time, because there is one model; it goes on
// while another conversation is read.

import type { ChatCompletionChunk, ChatRequest } from "../../src/index.js";
import { keepAwake } from "../browser/awake.js";
import { held, isHeld } from "../browser/tabs.js";
import { keepMessage } from "../data/database.js";
import { contentOf, fit, promptRoom, type Turn } from "../data/prompt.js";
import type { Message, Style } from "../data/types.js";
import { words } from "../words/words.svelte.js";
import type { Chat } from "./chat.svelte.js";
import { engine } from "./engine.svelte.js";
import { type Problem, problemOf } from "./problems.js";
import { status } from "./toasts.svelte.js";

/** A killed tab costs no more of an answer than this. */
const SAVE_EVERY = 1_000;

interface Current {
  chat: Chat;
  message: Message;
  controller: AbortController;
}

class Answers {
  current: Current | undefined = $state.raw();
  /** Tokens of the prompt read so far, before the first word comes. */
  prefill: { done: number; total: number } | undefined = $state.raw();
  /** What went wrong with the latest answer. */
  problem: { message: string; problem: Problem } | undefined = $state.raw();
  #counted = new Map<string, number>();

  async write(chat: Chat, message: Message): Promise<void> {
    await this.#run(chat, message);
  }

  /** Goes on with an answer that was stopped, cut or interrupted. */
  async resume(chat: Chat, message: Message): Promise<void> {
    message.state = "writing";
    await this.#run(chat, message);
  }

  stop(): void {
    this.current?.controller.abort();
  }

  /** Whether some tab is writing this message. */
  isHeld(message: string): Promise<boolean> {
    return isHeld(lockOf(message));
  }

  /** Tokens of a text; each text is counted once. */
  async count(text: string): Promise<number> {
    const known = this.#counted.get(text);
    if (known !== undefined) return known;
    const { length } = await engine.phi!.tokenize(text);
    this.#counted.set(text, length);
    return length;
  }

  async #run(chat: Chat, message: Message): Promise<void> {
    const current = { chat, message, controller: new AbortController() };
    this.current = current;
    this.prefill = this.problem = undefined;
    message.model = engine.choice?.name ?? "";
    message.notes = [];
    status.say(words.t.status.answering);
    const rest = keepAwake();
    const saving = setInterval(() => void keepMessage($state.snapshot(message)), SAVE_EVERY);
    try {
      await held(lockOf(message.id), () => this.#write(current));
      status.say(message.state === "stopped" ? words.t.status.stopped : words.t.status.answered);
    } catch (error) {
      message.state = "failed";
      const problem = problemOf(error);
      // What the engine has ended of is told beside the way to load it again.
      if (engine.phase !== "failed") this.problem = { message: message.id, problem };
      status.say(words.t.problems[problem.name].title);
    } finally {
      clearInterval(saving);
      rest();
      this.current = this.prefill = undefined;
      engine.refresh();
      await keepMessage($state.snapshot(message));
    }
  }

  async #write({ chat, message, controller }: Current): Promise<void> {
    const request = await this.#request(chat, message);
    const chunks = await engine.phi!.chat.completions.create(
      { ...request, stream: true },
      {
        signal: controller.signal,
        onPrefill: (done, total) => (this.prefill = { done, total }),
        onNotice: (sentence) => message.notes?.push(sentence),
      },
    );
    let finish: ChatCompletionChunk["choices"][0]["finish_reason"] = null;
    for await (const { choices } of chunks) {
      const [choice] = choices;
      if (choice?.delta.content) message.content += choice.delta.content;
      finish = choice?.finish_reason ?? finish;
    }
    message.state = finish === "length" ? "cut" : finish === "cancelled" ? "stopped" : "done";
    await this.#figure(message);
  }

  async #request(chat: Chat, message: Message): Promise<Omit<ChatRequest, "stream">> {
    const { instructions, style } = chat.conversation;
    const begun = message.content !== "";
    const branch = chat.upTo(message.id).slice(0, begun ? undefined : -1);
    const turns: Turn[] = branch.map((turn) => ({ role: turn.role, content: contentOf(turn) }));
    const room = promptRoom(engine.description!.ctxLen, style.longest);
    const fitted = await fit(instructions.trim(), turns, room, (text) => this.count(text));
    if (fitted.left > 0) message.notes?.push(words.t.chat.leftOut(fitted.left));
    return { messages: fitted.turns, continue_final_message: begun, ...sampling(style) };
  }

  async #figure(message: Message): Promise<void> {
    const stats = await engine.phi?.stats();
    if (!stats) return;
    const { generatedTokens, decodeTps, promptTokens, cachedTokens, prefillTps, backend } = stats;
    message.figures = {
      tokens: generatedTokens,
      tokensPerSecond: decodeTps,
      promptTokens,
      cachedTokens,
      prefillPerSecond: prefillTps,
      backend,
    };
  }
}

/** Greedy answers need nothing else. */
function sampling({ temperature, topP, minP, repetitionPenalty, longest }: Style) {
  const always = { max_tokens: longest, temperature };
  return temperature === 0
    ? always
    : { ...always, top_p: topP, min_p: minP, repetition_penalty: repetitionPenalty };
}

function lockOf(message: string): string {
  return `phi-wasm-app/answer/${message}`;
}

export const answers = new Answers();
