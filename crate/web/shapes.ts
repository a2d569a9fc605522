// What JavaScript hands to the engine and no Rust type stands for; what one does is in types.ts.

export interface LoadOptions extends LoadSettings {
  /**
   * The address of a file or of a directory (ending in "/"), the files themselves, or the id of a
   * model that is all in storage.
   */
  model: string | Blob | File[] | { stored: string; name: string };
}

export interface TextPart {
  type: "text";
  text: string;
}

/** What an assistant asked a tool for. */
export interface ToolCall {
  id?: string;
  type?: "function";
  function: {
    name: string;
    /** As JSON, or what that says. */
    arguments: string | Record<string, unknown>;
  };
}

/**
 * A turn of a conversation, in OpenAI's shape. Fields that are not named here go to the chat
 * template as they are.
 */
export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  /** May be left out where an assistant calls tools. */
  content?: string | TextPart[] | null;
  name?: string | null;
  tool_calls?: ToolCall[] | null;
  /** Which call a tool's message answers. */
  tool_call_id?: string | null;
  refusal?: string | null;
}

/**
 * The form of an answer: text, OpenAI's two kinds of JSON, or one of ours. The model is told of it
 * unless `hint` is false.
 */
export type ResponseFormat = (
  | { type: "text" }
  | { type: "json_object" }
  | {
      type: "json_schema";
      json_schema: {
        name?: string;
        description?: string | null;
        /** Draft 2020-12, 2019-09, 7 or 6. */
        schema?: Record<string, unknown>;
        /** Every answer is held to the schema. */
        strict?: boolean | null;
      };
    }
  /** An XML Schema, or a sample document. */
  | { type: "xml_schema"; xml_schema: string }
  /** A regular expression that matches the whole answer. */
  | { type: "regex"; regex: string }
  /** A grammar in Lark's notation. */
  | { type: "grammar"; grammar: string }
  | { type: "choice"; choice: string[] }
) & { hint?: boolean | null };

/** How tokens are chosen and when they end; null is as good as nothing. */
export interface Sampling extends GenerateOptions {
  /** Not used: the model is the one that was loaded. */
  model?: string;
  /** Texts that end the answer; they are not part of it. */
  stop?: string | string[] | null;
  /** How many answers, 1 to 128: one after the other, each with a seed of its own. */
  n?: number | null;
  /** The form that every answer has; plain text unless said otherwise. */
  response_format?: ResponseFormat | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
}

/** What the model may call. */
export interface Tool {
  type: "function";
  function: {
    /** 1 to 64 of a-z, A-Z, 0-9, _ and -. */
    name: string;
    description?: string | null;
    /** A JSON Schema of type "object"; without one there are no arguments. */
    parameters?: Record<string, unknown> | null;
    /**
     * Whether arguments are valid by the schema, which they are unless this is `false`; what cannot
     * be enforced is refused.
     */
    strict?: boolean | null;
  };
}

/** Which tools are to be called; the model chooses unless said otherwise. */
export type ToolChoice =
  | "auto"
  | "none"
  | "required"
  | { type: "function"; function: { name: string } };

export interface ChatRequest extends Sampling {
  messages: ChatMessage[];
  max_completion_tokens?: number | null;
  tools?: Tool[] | null;
  tool_choice?: ToolChoice | null;
  /** Whether one answer may call several, which it may unless said otherwise. */
  parallel_tool_calls?: boolean | null;
  /**
   * Not OpenAI's: the last message, the assistant's, is the beginning of the answer; what comes is
   * the rest of it.
   */
  continue_final_message?: boolean | null;
  /**
   * Whether each token comes with its log-probability: by the model's own distribution, before
   * temperature, filters, penalties and biases.
   */
  logprobs?: boolean | null;
  /** Of how many of the most probable tokens in the place of each, 0 to 20, that comes, too. */
  top_logprobs?: number | null;
}

/** Continues a text as it stands, without the chat template. */
export interface CompletionRequest extends Sampling {
  prompt: string;
  /**
   * Each token comes with its log-probability and that of so many of the most probable tokens in
   * its place, 0 to 20: by the model's own distribution, before temperature, filters, penalties and
   * biases.
   */
  logprobs?: number | null;
  /** The prompt comes first, with its log-probabilities; `max_tokens` may be 0 then. */
  echo?: boolean | null;
}

/** A conversation, and the answers to decide between. */
export interface DecideRequest {
  messages: ChatMessage[];
  /** Texts, each once. */
  choices: string[];
}

/**
 * Starts workers until there are `count`, each with this module and memory, and resolves once all
 * have called `help`.
 */
export type StartHelpers = (
  count: number,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
) => Promise<void>;

/** What holds answers to forms, a module of its own. Errors have a `code`. */
export interface GrammarModule {
  /** Throws where no model's answers could be held to a form, which is in JSON. */
  check(form: string): void;
  /**
   * For a model's tokens: `bytes` has what they spell, one after the other, each as long as
   * `lengths` says; `encode` gives a text's tokens.
   */
  open(
    bytes: Uint8Array,
    lengths: Uint32Array,
    stopTokens: Uint32Array,
    encode: (text: string) => Uint32Array | undefined,
  ): object;
}

/**
 * Files of one model in the browser's storage. Methods return what they promise at once where they
 * can. Errors have a `code`.
 */
export interface ModelStorage {
  readonly kind: "opfs" | "indexeddb";
  /**
   * Rejects with `storage-full` where there is no room for that many bytes more, as far as the
   * browser can tell.
   */
  askForRoom(bytes: number): Promise<void>;
  /** Bytes of a file; undefined when it is not there. */
  size(file: string): number | undefined | Promise<number | undefined>;
  /** Fills `into`, which may be a view of shared memory. */
  read(file: string, at: number, into: Uint8Array): void | Promise<void>;
  /** Writes within a file's size. */
  write(file: string, at: number, bytes: Uint8Array): void | Promise<void>;
  /**
   * Gives a file a size, and makes it when it is not there; `storage-full` when there is no room.
   */
  resize(file: string, size: number): void | Promise<void>;
  remove(file: string): void | Promise<void>;
  /** Returns when all that was written outlives a kill. */
  flush(file: string): void | Promise<void>;
  /** Lets others have it. */
  close(): void | Promise<void>;
}

/** What was read with a model and outlives the page. */
export interface PrefixPages {
  /** Names, what was not used for longest first; undefined where all was deleted. */
  list(): Promise<string[] | undefined>;
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Takes note that these were used, the last of them last. */
  touch(names: string[]): Promise<void>;
}

/** Opens what was read with a model, by the model's id. */
export type OpenPages = (id: string) => Promise<PrefixPages>;

/**
 * Opens the storage of a model, by the model's id; undefined where nothing can be kept. It is
 * closed when loading is over.
 */
export type OpenStorage = (id: string) => Promise<ModelStorage | undefined>;
