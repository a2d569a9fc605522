/** What goes wrong, spelled as in the Rust crate; `internal` is a fault of the engine itself. */
export type Code =
  | "not-a-model" | "truncated" | "malformed" | "unsupported-architecture" | "unsupported-tensor" | "missing-tensor" | "wrong-shape"
  | "bad-config" | "bad-tokenizer" | "bad-template" | "prompt-too-long" | "context-full" | "bad-token" | "bad-option" | "out-of-memory"
  | "not-found" | "network" | "io" | "storage-full" | "storage-lost" | "in-use" | "corrupt" | "no-gpu" | "gpu-failed" | "gpu-lost" | "cancelled" | "internal";

/** `auto` takes the GPU when there is one that computes rightly and is no slower than the CPU, and says so when it cannot. */
export type Backend = "auto" | "gpu" | "cpu";

export interface LoadOptions {
  /** The address of a file or of a directory (ending in "/"), the files themselves, or the id of a model that is all in storage. */
  model: string | Blob | File[] | { stored: string; name: string };
  backend?: Backend;
  /** How weights that come unquantised are held; 4 unless said otherwise. */
  bits?: 4 | 5 | 8 | 16 | 32;
  /** Positions to allocate; the model's own, at most 4096, unless said otherwise. */
  ctxLen?: number;
  /** How keys and values are held; f16, or f32 with 32-bit weights, unless said otherwise. */
  kv?: "f16" | "f32";
  /** Threads of the CPU; as many as the device has, up to 16, unless said otherwise. More than one needs a module with threads. */
  threads?: number;
  /**
   * Time again which kernels are fastest on this GPU, and whether the CPU is faster; otherwise that is done once for each GPU, browser and
   * version of the engine.
   */
  retune?: boolean;
  /** Whether `auto` measures a GPU that is a program on the CPU, too; otherwise it takes the CPU. */
  softwareGpu?: boolean;
  /** What `tunedGpus` gave. */
  knownGpus?: string;
  /** What `measuredBackends` gave. */
  knownBackends?: string;
  /** The SHA-256 of files, by name and in hexadecimal, that their publisher tells: a model that is kept is compared with them. */
  sha256?: Record<string, string>;
}

/** Starts workers until there are `count`, each with this module and memory, and resolves once all have called `help`. */
export type StartHelpers = (count: number, module: WebAssembly.Module, memory: WebAssembly.Memory) => Promise<void>;

/** Bytes so far, and in all. */
export interface Progress {
  /** Coming from elsewhere, coming from storage, being completed in storage, being hashed again. */
  phase: "downloading" | "loading" | "preparing" | "checking";
  done: number;
  total: number;
  /** Bytes of the model that are kept, where it is. */
  stored?: number;
}

/** Files of one model in the browser's storage. Methods return what they promise at once where they can. Errors have a `code`. */
export interface ModelStorage {
  readonly kind: "opfs" | "indexeddb";
  /** Rejects with `storage-full` where there is no room for that many bytes more, as far as the browser can tell. */
  askForRoom(bytes: number): Promise<void>;
  /** Bytes of a file; undefined when it is not there. */
  size(file: string): number | undefined | Promise<number | undefined>;
  /** Fills `into`, which may be a view of shared memory. */
  read(file: string, at: number, into: Uint8Array): void | Promise<void>;
  /** Writes within a file's size. */
  write(file: string, at: number, bytes: Uint8Array): void | Promise<void>;
  /** Gives a file a size, and makes it when it is not there; `storage-full` when there is no room. */
  resize(file: string, size: number): void | Promise<void>;
  remove(file: string): void | Promise<void>;
  /** Returns when all that was written outlives a kill. */
  flush(file: string): void | Promise<void>;
  /** Lets others have it. */
  close(): void | Promise<void>;
}

/** Opens the storage of a model, by the model's id; undefined where nothing can be kept. It is closed when loading is over. */
export type OpenStorage = (id: string) => Promise<ModelStorage | undefined>;

/** What checking a kept model found. */
export interface Checked {
  /** Chunks whose bytes were wrong. */
  bad: number;
  /** Bytes that were fetched again for them. */
  repaired: number;
}

/** How to render a conversation for the model. */
export interface TemplateOptions {
  /** Descriptions of tools, in OpenAI's shape as most templates want it. */
  tools?: object[];
  /** Whether the beginning of the model's answer comes last: yes, unless said otherwise. */
  addGenerationPrompt?: boolean;
  /** End within the last message, the assistant's. */
  continueFinal?: boolean;
}

export interface Description {
  /** Where the model came from. */
  model: string;
  /** Weights, counted singly. */
  parameters: number;
  /** What computes, in one line. */
  backend: string;
  /** Which of the two that is. */
  device: "gpu" | "cpu";
  /** Where `auto` has measured both: the seconds of each for 500 tokens read and 200 written, estimated from a few of the model's layers. */
  measured?: { gpu: number; cpu: number };
  /** Why it is not what was asked for, in a sentence. */
  notice?: string;
  /** Positions that the cache has room for. */
  ctxLen: number;
  /** Where the model is kept. */
  storage: "opfs" | "indexeddb" | "none";
  /** The id that it has there; absent where it is not kept. */
  storedId?: string;
}

/** One turn of a conversation, with what else the chat template may ask for. */
export interface Message {
  role: string;
  /** None where the message only calls tools. */
  content?: string | { type: "text"; text: string }[] | null;
  name?: string | null;
  /** An assistant's calls; templates mostly want `function.arguments` as an object. */
  tool_calls?: object[] | null;
  /** The call that a tool's message answers. */
  tool_call_id?: string | null;
  reasoning_content?: string | null;
}

/** How tokens are chosen; greedily, unless a temperature is given. */
export interface Sampling {
  /** Logits are divided by it: above 1 bolder, below 1 safer, 0 greedy. */
  temperature?: number;
  /** Keep the k likeliest tokens; 0 and -1 keep all. */
  topK?: number;
  /** Keep the fewest likeliest tokens whose probabilities reach this sum: at 0 the likeliest alone, at 1 all. */
  topP?: number;
  /** Keep tokens at least this fraction as likely as the likeliest; 0 keeps all. */
  minP?: number;
  /** Weakens every token seen so far; 1 changes nothing. */
  repetitionPenalty?: number;
  /** Taken off the logit of every token generated before; 0 changes nothing. */
  presencePenalty?: number;
  /** Taken off a token's logit once for each time it was generated; 0 changes nothing. */
  frequencyPenalty?: number;
  /** Added to the logits of single tokens, by id. */
  logitBias?: Record<number, number>;
  /** The same seed gives the same text on the same backend. It may be negative. */
  seed?: number;
}

export interface GenerateOptions {
  /** Tokens at the most. */
  maxTokens?: number;
  sampling?: Sampling;
  /** Texts that end the answer; they are not part of it. */
  stop?: string[];
  /** The last message is the beginning of the answer, which goes on from there. */
  continueFinal?: boolean;
}

/** Figures of one answer. */
export interface Stats {
  /** Why it ended: the model ended its turn or a stop text came, `maxTokens` or the context was reached, it was told to. */
  finish: "stop" | "length" | "cancelled";
  promptTokens: number;
  /** Those of the prompt that the cache already held. */
  cachedTokens: number;
  generatedTokens: number;
  prefillSeconds: number;
  decodeSeconds: number;
  /** Tokens of the prompt read a second. */
  prefillTps: number;
  /** Tokens generated a second. */
  decodeTps: number;
  /** What computed its last token, in one line. */
  backend: string;
  /** What the GPU was asked to do for each token once decoding was warm; not for answers of less than three tokens. */
  work?: {
    dispatchesPerToken: number;
    submitsPerToken: number;
    passesPerToken: number;
    uploadBytesPerToken: number;
    readbackBytesPerToken: number;
    /** Buffers, bind groups and pipelines made in all these tokens. */
    createdAfterWarmup: number;
  };
}

/** What happened since the last one. */
export type Event =
  /** Part of the prompt has been read. */
  | { kind: "prefill"; done: number; total: number }
  /** What computes has changed or is about to, and why; the answer goes on. */
  | { kind: "notice"; message: string }
  /** A piece of the answer. */
  | { kind: "text"; text: string }
  /** The answer is complete. */
  | ({ kind: "done" } & Stats);

/** What a benchmark measured, spelled as `phi bench --json` spells it. */
export interface BenchFigures {
  /** What computed, in one line. */
  device: string;
  prompt_tokens: number;
  generated_tokens: number;
  /** Tokens of the prompt a second, up to the choice of the first token. */
  prefill_tps: number;
  /** Tokens generated a second. */
  decode_tps: number;
  /** The module's memory; it only ever grows. */
  peak_bytes: number;
  /** Bytes of weights, keys and values that a token reads half-way through decoding. */
  bytes_per_token: number;
}
