// Written from the Rust types by crate/typescript.rs: do not edit.

/**
 * What kind of thing went wrong. The names are stable: they are part of the public interface.
 */
export type Code = "not-a-model" | "truncated" | "malformed" | "unsupported-architecture" | "unsupported-tensor" | "missing-tensor" | "wrong-shape" | "bad-config" | "bad-tokenizer" | "bad-template" | "prompt-too-long" | "context-full" | "bad-token" | "bad-option" | "bad-constraint" | "out-of-memory" | "not-found" | "network" | "io" | "storage-full" | "storage-lost" | "in-use" | "corrupt" | "no-gpu" | "gpu-failed" | "gpu-lost" | "cancelled" | "internal";

/**
 * What shall compute: `auto` takes the GPU when there is one that computes rightly and is no
 * slower than the CPU, and says so when it cannot.
 */
export type Backend = "auto" | "gpu" | "cpu";

/**
 * How a model is to be loaded, wherever it is.
 */
export type LoadSettings = {
  /**
   * What shall compute; auto unless said otherwise.
   */
  backend?: Backend;
  /**
   * How weights that come unquantised are held; 4 unless said otherwise.
   */
  bits?: 4 | 5 | 8 | 16 | 32;
  /**
   * Positions to allocate; the model's own, at most 4096, unless said otherwise.
   */
  ctxLen?: number;
  /**
   * How keys and values are held; int8, or f32 with 32-bit weights, unless said otherwise.
   */
  kv?: "int8" | "int4" | "f16" | "f32";
  /**
   * Threads of the CPU; as many as the device has, up to 16, unless said otherwise. More than
   * one needs a module with threads.
   */
  threads?: number;
  /**
   * Time again which kernels are fastest on this GPU, and whether the CPU is faster; otherwise
   * that is done once for each GPU, browser and version of the engine.
   */
  retune?: boolean;
  /**
   * What `tunedGpus` gave.
   */
  knownGpus?: string;
  /**
   * What `measuredBackends` gave.
   */
  knownBackends?: string;
  /**
   * Bytes that what was read may take where it outlives the program; 1 GB unless said otherwise.
   */
  cacheBytes?: number;
  /**
   * Whether `auto` measures a GPU that is a program on the CPU, too; otherwise it takes the CPU.
   */
  softwareGpu?: boolean;
  /**
   * The SHA-256 of files, by name and in hexadecimal, that their publisher tells: a model that
   * is kept is compared with them.
   */
  sha256?: { [key in string]: string };
};

/**
 * How far loading is.
 */
export type Progress = {
  /**
   * What is done.
   */
  phase: "downloading" | "loading" | "preparing" | "checking";
  /**
   * Bytes so far.
   */
  done: number;
  /**
   * Bytes in all.
   */
  total: number;
  /**
   * Bytes of the model that are kept, where it is.
   */
  stored?: number;
};

/**
 * What was loaded, and what computes it.
 */
export type Description = {
  /**
   * Which of the two computes.
   */
  device: "gpu" | "cpu";
  /**
   * Where the model is kept.
   */
  storage: "opfs" | "indexeddb" | "none";
  /**
   * The id that it has there; absent where it is not kept.
   */
  storedId?: string;
  /**
   * Why it is not what was asked for, in a sentence.
   */
  notice?: string;
  /**
   * Where the model came from.
   */
  model: string;
  /**
   * Weights, counted singly.
   */
  parameters: number;
  /**
   * What computes, in one line.
   */
  backend: string;
  /**
   * Positions that the cache has room for.
   */
  ctxLen: number;
  /**
   * What the choice between GPU and CPU rests on, where both were measured.
   */
  measured?: {
    /**
     * On the GPU.
     */
    gpu: number;
    /**
     * On the CPU.
     */
    cpu: number;
  };
};

/**
 * What checking found.
 */
export type Checked = {
  /**
   * Chunks whose bytes were not what they were written as.
   */
  bad: number;
  /**
   * Bytes that were fetched again for them.
   */
  repaired: number;
};

/**
 * How a conversation is rendered for the model.
 */
export type TemplateOptions = {
  /**
   * Descriptions of tools, in OpenAI's shape as most templates want it.
   */
  tools?: object[];
  /**
   * Whether the beginning of the model's answer comes last: yes, unless said otherwise.
   */
  addGenerationPrompt?: boolean;
  /**
   * End within the last message, the assistant's.
   */
  continueFinal?: boolean;
};

/**
 * How to answer.
 */
export type GenerateOptions = {
  /**
   * Tokens at the most.
   */
  max_tokens?: number | null;
  /**
   * Whose what is read is, where that outlives the program: it can be deleted by that.
   */
  prompt_cache_key?: string | null;
  /**
   * Logits are divided by it: above 1 bolder, below 1 safer, 0 greedy.
   */
  temperature?: number | null;
  /**
   * Keep the k most probable tokens; 0 and -1 keep all.
   */
  top_k?: number | null;
  /**
   * Keep the fewest most probable tokens whose probabilities reach this sum: at 0 the most
   * probable alone, at 1 all.
   */
  top_p?: number | null;
  /**
   * Keep tokens at least this fraction as probable as the most probable; 0 keeps all.
   */
  min_p?: number | null;
  /**
   * Keep the tokens whose surprise (the negative logarithm of their probability) is nearest to
   * what is to be expected, the fewest whose probabilities reach this sum; 1 keeps all. Locally
   * typical sampling (Meister and others, 2022).
   */
  typical_p?: number | null;
  /**
   * Divides a positive logit, multiplies a negative one, of every token seen in the prompt or
   * generated; 1 changes nothing.
   */
  repetition_penalty?: number | null;
  /**
   * Taken off the logit of every token generated before; 0 changes nothing.
   */
  presence_penalty?: number | null;
  /**
   * Taken off a token's logit once for each time it was generated; 0 changes nothing.
   */
  frequency_penalty?: number | null;
  /**
   * Added to the logits of single tokens, by id.
   */
  logit_bias?: { [key in number]: number } | null;
  /**
   * The same seed gives the same text on the same backend. It may be negative; without one a
   * fresh one is taken.
   */
  seed?: number | null;
};

/**
 * Why an answer ended.
 */
export type Finish = "stop" | "length" | "tool_calls" | "cancelled";

/**
 * Figures of one answer.
 */
export type Stats = {
  /**
   * Why it ended.
   */
  finish: Finish;
  /**
   * Tokens of the prompt.
   */
  promptTokens: number;
  /**
   * Those that the cache already held.
   */
  cachedTokens: number;
  /**
   * Tokens that were sampled, the stop token not counted.
   */
  generatedTokens: number;
  /**
   * Seconds until the prompt was read.
   */
  prefillSeconds: number;
  /**
   * Seconds from then on.
   */
  decodeSeconds: number;
  /**
   * Tokens of the prompt read a second.
   */
  prefillTps: number;
  /**
   * Tokens generated a second.
   */
  decodeTps: number;
  /**
   * What computed its last token, in one line.
   */
  backend: string;
  /**
   * What a device was asked to do for it; not on the CPU, nor for answers too short to tell.
   */
  work?: {
    /**
     * Runs of a kernel.
     */
    dispatchesPerToken: number;
    /**
     * Lists of commands.
     */
    submitsPerToken: number;
    /**
     * Compute passes.
     */
    passesPerToken: number;
    /**
     * Bytes written to the device.
     */
    uploadBytesPerToken: number;
    /**
     * Bytes read from it.
     */
    readbackBytesPerToken: number;
    /**
     * Buffers, bind groups and pipelines made in all these tokens.
     */
    createdAfterWarmup: number;
  };
};

/**
 * One of the most probable tokens.
 */
export type TopLogprob = {
  /**
   * As of [`TokenLogprob`].
   */
  token: string;
  /**
   * The natural logarithm of its probability.
   */
  logprob: number;
  /**
   * Its bytes.
   */
  bytes: Array<number>;
};

/**
 * A token, and how probable the model found it, in OpenAI's shape.
 */
export type TokenLogprob = {
  /**
   * Its text: control tokens as they are written, parts of characters as U+FFFD.
   */
  token: string;
  /**
   * The natural logarithm of its probability; null for a text's first token, before which there
   * is nothing.
   */
  logprob: number | null;
  /**
   * Its bytes.
   */
  bytes: Array<number>;
  /**
   * The most probable tokens in its place, as many as were asked for.
   */
  top_logprobs: Array<TopLogprob>;
};

/**
 * A piece of a call of a tool.
 */
export type CallDelta = {
  /**
   * Calls before it in the answer.
   */
  index: number;
  /**
   * What the tool's answer names it by; with the first piece.
   */
  id?: string;
  /**
   * The tool; with the first piece.
   */
  name?: string;
  /**
   * More of the arguments, which are JSON, if the model keeps to it.
   */
  arguments: string;
};

/**
 * What happened since the last one: what [`Answer::next`] gives.
 */
export type Event = { "kind": "prefill";
  /**
   * Tokens in the cache.
   */
  done: number;
  /**
   * Tokens of the prompt.
   */
  total: number;
} | { "kind": "text";
  /**
   * The piece, not empty unless log-probabilities are told of tokens after it.
   */
  text: string;
  /**
   * The tokens that were chosen up to here since the last piece, where log-probabilities are
   * asked for.
   */
  logprobs?: Array<TokenLogprob>;
} | { "kind": "call" } & CallDelta | { "kind": "notice";
  /**
   * Why, and what comes of it, in a sentence.
   */
  message: string;
} | { "kind": "parsed";
  /**
   * Itself JSON. Of an answer that was cut, the members and items whose values have ended;
   * nothing where none has.
   */
  json: string | null;
} | { "kind": "done" } & Stats;

/**
 * How probable a text is.
 */
export type Score = {
  /**
   * The sum over its tokens, but one that has none.
   */
  logprob: number;
  /**
   * Its tokens.
   */
  tokens: Array<TokenLogprob>;
};

/**
 * How probable it is that an answer is one of some choices, and nothing else.
 */
export type Decision = {
  /**
   * The choice.
   */
  choice: string;
  /**
   * The natural logarithm of the probability that the model gives its tokens and then one that
   * ends the answer.
   */
  logprob: number;
  /**
   * The probability among the choices: all together have 1.
   */
  probability: number;
};

/**
 * What was measured, named as the benchmark's JSON has it.
 */
export type BenchFigures = {
  /**
   * What computed, in one line.
   */
  device: string;
  /**
   * Tokens of the prompt.
   */
  prompt_tokens: number;
  /**
   * Tokens that were generated.
   */
  generated_tokens: number;
  /**
   * Tokens of the prompt a second, up to and with the logits that choose the first token.
   */
  prefill_tps: number;
  /**
   * Tokens generated a second: choosing each, and computing the logits that follow.
   */
  decode_tps: number;
  /**
   * The most memory that this process has had, or the module's memory under wasm; unknown on
   * some systems.
   */
  peak_bytes: number | null;
  /**
   * Bytes of weights, keys and values that a token reads half-way through decoding.
   */
  bytes_per_token: number;
};
