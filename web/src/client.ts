// The package's face: a model in a worker of its own, asked in OpenAI's shapes.

import { pieces, whole } from "./answers.js";
import { cancelled, type PhiError, phiError } from "./errors.js";
import type { Ask, Link } from "./link.js";
import { type Resolved, resolveModel } from "./model.js";
import * as openai from "./openai.js";
import * as options from "./options.js";
import type { Event } from "./protocol.js";
import { requireBrowser } from "./start.js";
import {
  deleteModel,
  deletePrefixes,
  exportModel,
  listModels,
  type Prefixes,
  persist,
  type StorageEstimate,
  type StoredModel,
  storageEstimate,
} from "./storage/index.js";
import * as tools from "./tools.js";
import type {
  BenchFigures,
  CallOptions,
  Checked,
  CheckOptions,
  DecideRequest,
  Decision,
  Description,
  LoadOptions,
  PromptOptions,
  Score,
  Stats,
} from "./types.js";
import { addressAlong, emit, rethrow, start, working } from "./working.js";

/** As in OpenAI's package: with `stream: true` the answer comes in pieces, otherwise whole. */
export interface ChatCompletions {
  create(
    request: openai.ChatRequest & { stream: true },
    call?: CallOptions,
  ): Promise<AsyncIterable<openai.ChatCompletionChunk>>;
  create(
    request: openai.ChatRequest & { stream?: false | null },
    call?: CallOptions,
  ): Promise<openai.ChatCompletion>;
  create(
    request: openai.ChatRequest,
    call?: CallOptions,
  ): Promise<openai.ChatCompletion | AsyncIterable<openai.ChatCompletionChunk>>;
}

/** A loaded model. Calls wait for one another; all reject with a {@link PhiError}. */
export class Phi {
  readonly chat: { readonly completions: ChatCompletions };
  #link!: Link;
  /** While the model is loaded again; rejects as that does. */
  #again: Promise<void> | undefined;
  #stats: Stats | undefined;
  #unloaded = new AbortController();
  #asked: LoadOptions;
  /** The model, at hand or at an address. */
  #resolved: Resolved;

  private constructor(link: Link, asked: LoadOptions, resolved: Resolved) {
    this.#asked = asked;
    this.#resolved = resolved;
    this.#adopt(link);
    const create = async (request: openai.ChatRequest, call?: CallOptions) => {
      const asked = openai.plainOf("the request", request);
      return this.#answer(
        asked,
        { kind: "chat", request: asked },
        openai.chatShape(this.description.model),
        options.ofCall(call),
      );
    };
    // What comes out depends on `stream`, which only the overloads can say.
    this.chat = { completions: { create: create as ChatCompletions["create"] } };
  }

  /** Loads a model. */
  static async load(given: LoadOptions): Promise<Phi> {
    requireBrowser();
    const asked = options.ofLoad(given);
    const { signal, storage = "auto" } = asked;
    if (signal?.aborted) throw cancelled("loading");
    const resolved = await resolveModel(asked.model, asked).catch(rethrow);
    // Firefox asks its user, which takes as long as it takes.
    if (storage === "auto") void persist();
    return new Phi(await start(asked, resolved), asked, resolved);
  }

  /** What was loaded, and what computes it; that can change from answer to answer. */
  get description(): Description {
    return this.#link.description!;
  }

  /**
   * Answers a conversation, running the functions that the model calls until it answers without a
   * call. One that throws, or gives what is no JSON, ends nothing: the model is told. Rejects with
   * "max-rounds" where no answer comes.
   */
  runTools(
    request: tools.RunToolsRequest,
    call?: tools.RunToolsOptions,
  ): Promise<tools.RunToolsResult> {
    return tools.runTools(this.chat.completions, request, call);
  }

  /** Continues a text as it stands, without the chat template. */
  complete(
    request: openai.CompletionRequest & { stream: true },
    call?: CallOptions,
  ): Promise<AsyncIterable<openai.CompletionChunk>>;
  complete(
    request: openai.CompletionRequest & { stream?: false | null },
    call?: CallOptions,
  ): Promise<openai.Completion>;
  complete(
    request: openai.CompletionRequest,
    call?: CallOptions,
  ): Promise<openai.Completion | AsyncIterable<openai.CompletionChunk>>;
  async complete(
    request: openai.CompletionRequest,
    call?: CallOptions,
  ): Promise<openai.Completion | AsyncIterable<openai.CompletionChunk>> {
    const asked = openai.plainOf("the request", request);
    return this.#answer(
      asked,
      { kind: "complete", request: asked },
      openai.textShape(this.description.model),
      options.ofCall(call),
    );
  }

  /** A text's tokens, without any that a conversation begins or ends with. */
  async tokenize(text: string): Promise<number[]> {
    options.requireText(text);
    return [...(await (await this.#ready()).answer({ kind: "tokenize", text }, "tokens")).tokens];
  }

  /** The text of tokens, control tokens as they are written. */
  async detokenize(tokens: Iterable<number>): Promise<string> {
    return (
      await (
        await this.#ready()
      ).answer({ kind: "detokenize", tokens: options.tokensOf(tokens) }, "text")
    ).text;
  }

  /**
   * A conversation as the model reads it. What a message says stays text, even where it is spelt
   * like a control token.
   */
  async applyChatTemplate(messages: openai.ChatMessage[], wishes?: PromptOptions): Promise<string> {
    const ask: Ask = {
      kind: "render",
      messages: openai.plainOf("messages", messages),
      options: options.ofPrompt(wishes),
    };
    return (await (await this.#ready()).answer(ask, "text")).text;
  }

  /** How many tokens a conversation is, as the model reads it. */
  async countTokens(messages: openai.ChatMessage[], wishes?: PromptOptions): Promise<number> {
    const ask: Ask = {
      kind: "count",
      messages: openai.plainOf("messages", messages),
      options: options.ofPrompt(wishes),
    };
    return (await (await this.#ready()).answer(ask, "counted")).count;
  }

  /**
   * How probable a text is as it stands, token by token, by the model's own distribution: natural
   * logarithms.
   */
  async score(text: string): Promise<Score> {
    options.requireText(text);
    const request = { prompt: text, max_tokens: 0, echo: true, logprobs: 0 };
    const told = openai.nothingTold();
    for await (const event of this.#events({ kind: "complete", request }, {}))
      if (event.kind === "text") openai.tell(told, event);
    const tokens = told.logprobs ?? [];
    return { logprob: tokens.reduce((sum, { logprob }) => sum + (logprob ?? 0), 0), tokens };
  }

  /**
   * How probable it is that the model would answer a conversation with one of these texts and
   * nothing else, exactly, and the probability of each among them. What they share is read once.
   */
  async decide(request: DecideRequest): Promise<Decision[]> {
    const ask: Ask = { kind: "decide", request: openai.plainOf("the request", request) };
    return (await (await this.#ready()).answer(ask, "decided")).decisions;
  }

  /**
   * What was read of a conversation, as `importSession` takes it, here or where the same model is
   * loaded; what was not is read first.
   */
  async exportSession(messages: openai.ChatMessage[]): Promise<Blob> {
    const ask: Ask = { kind: "export session", messages: openai.plainOf("messages", messages) };
    return new Blob([(await (await this.#ready()).answer(ask, "exported")).session]);
  }

  /** Takes up what was read of a conversation; how many tokens need not be read again. */
  async importSession(session: Blob): Promise<number> {
    options.requireBlob(session);
    const bytes = new Uint8Array(await session.arrayBuffer());
    const ask: Ask = { kind: "import session", session: bytes };
    return (await (await this.#ready()).answer(ask, "counted")).count;
  }

  /** Figures of the latest answer that came to an end. */
  async stats(): Promise<Stats | undefined> {
    return this.#stats;
  }

  /**
   * Times prefill and decoding on tokens that mean nothing, after `depth` of them that count as
   * read. The conversation so far is forgotten.
   */
  async bench(promptTokens: number, generateTokens: number, depth = 0): Promise<BenchFigures> {
    options.requireCounts({ promptTokens, generateTokens });
    options.requireCounts({ depth }, 0);
    const engine = await this.#ready();
    return (await engine.answer({ kind: "bench", promptTokens, generateTokens, depth }, "figures"))
      .figures;
  }

  /**
   * Ends the workers, gives their memory back and lets go of the stored model. Whatever they were
   * doing rejects with "cancelled".
   */
  async unload(): Promise<void> {
    this.#unloaded.abort();
    this.#link.close();
  }

  /**
   * The models that this browser keeps for this site, those begun included, the latest used first.
   */
  static listModels(): Promise<StoredModel[]> {
    return stored(listModels);
  }

  static deleteModel(id: string): Promise<void> {
    return stored(() => deleteModel(options.idOf(id)));
  }

  /** Deletes what was read of prompts and kept, by model, by `prompt_cache_key`, or all of it. */
  static deletePrefixes(which?: Prefixes): Promise<void> {
    return stored(() => deletePrefixes(options.ofPrefixes(which)));
  }

  /** Hashes a stored model again, and fetches what is bad from where it came from. */
  static async checkModel(id: string, given: CheckOptions = {}): Promise<Checked> {
    const asked = options.ofCheck(given);
    const model = (await Phi.listModels()).find((model) => model.id === options.idOf(id));
    if (!model)
      throw phiError({
        code: "not-found",
        message: `the model ${id} is not stored: load it first`,
      });
    return working({ ...asked, variant: "simd" }, "checking", async (link) => {
      const { checked } = await link.answer(
        {
          kind: "check",
          model: id,
          source: model.source,
          along: addressAlong(model.source, asked),
        },
        "checked",
      );
      link.close();
      return checked;
    });
  }

  /** A complete model's files as a tar archive. */
  static exportModel(id: string): Promise<ReadableStream<Uint8Array>> {
    return stored(() => exportModel(options.idOf(id)));
  }

  /** What this site stores on this device, in all. */
  static storageEstimate(): Promise<StorageEstimate> {
    return stored(storageEstimate);
  }

  #adopt(link: Link): void {
    this.#link = link;
    link.onEnd = (why, didNotStop) => this.#ended(why, didNotStop);
  }

  /**
   * The engine has ended by itself. Who wanted no more than to stop it gets the model back, but
   * nothing is fetched for that.
   */
  #ended(why: PhiError, didNotStop: boolean): void {
    const { onFailure, onNotice } = this.#asked;
    if (
      !didNotStop ||
      (typeof this.#resolved.model === "string" && this.description.storage === "none")
    )
      return emit(onFailure, why);
    const again = async () =>
      this.#adopt(await start({ ...this.#asked, signal: this.#unloaded.signal }, this.#resolved));
    this.#again = again().finally(() => (this.#again = undefined));
    // Whoever asks meanwhile hears of it, and so does everybody later from the link that is over.
    this.#again.catch(() => {});
    emit(
      onNotice,
      "The engine did not stop when it was told to: it was ended, and the model is loaded again.",
    );
    emit(onFailure, why, this.#again);
  }

  /** Whoever gives up meanwhile gets the link that is over. */
  async #ready(signal?: AbortSignal): Promise<Link> {
    if (this.#again)
      await Promise.race([
        this.#again,
        new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true })),
      ]);
    return this.#link;
  }

  /** With what a request for an answer needs besides. */
  async #readyFor(ask: Ask, signal?: AbortSignal): Promise<Link> {
    const link = await this.#ready(signal);
    if ((ask.kind === "chat" || ask.kind === "complete") && openai.asksForForm(ask.request))
      await link.grammars(this.#asked);
    return link;
  }

  /** The answer in a shape, in pieces or whole. */
  async #answer<Chunk, Whole>(
    request: openai.Sampling | null,
    ask: Ask & { kind: "chat" | "complete" },
    shape: openai.Shape<Chunk, Whole>,
    call: CallOptions,
  ): Promise<AsyncIterable<Chunk> | Whole> {
    if (request?.stream) {
      await this.#check(ask, call);
      return pieces(this.#events(ask, call), request, shape);
    }
    return whole(this.#events(ask, call), request?.n ?? 1, shape);
  }

  /**
   * Rejects where the engine does not take a request: at once, and not by a stream that nobody may
   * read.
   */
  async #check(ask: Ask & { kind: "chat" | "complete" }, { signal }: CallOptions): Promise<void> {
    try {
      const check = { ...ask, kind: `check ${ask.kind}` } as Ask;
      await (await this.#readyFor(ask, signal)).answer(check, "taken", signal);
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  }

  /** The engine's events; those of an answer that is cancelled before its turn are none. */
  async *#events(
    ask: Ask,
    { signal, onPrefill, onNotice }: CallOptions,
  ): AsyncGenerator<Event, void> {
    if (signal?.aborted) return;
    try {
      for await (const reply of (await this.#readyFor(ask, signal)).ask(ask, signal)) {
        if (reply.kind !== "event") continue;
        const { event } = reply;
        if (event.kind === "prefill") emit(onPrefill, event.done, event.total);
        if (event.kind === "notice") emit(onNotice, event.message);
        if (event.kind === "done") this.#stats = statsOf(event);
        yield event;
      }
    } catch (error) {
      // One that had to be ended for it has stopped, too.
      if (!signal?.aborted) throw error;
    }
  }
}

function statsOf({ kind: _, ...stats }: Event & { kind: "done" }): Stats {
  return stats;
}

/** Storage's own errors, as this package throws them. */
async function stored<T>(act: () => Promise<T>): Promise<T> {
  requireBrowser();
  return Promise.resolve().then(act).catch(rethrow);
}
