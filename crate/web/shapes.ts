// What JavaScript hands to the engine and no Rust type stands for; what does is in types.ts.

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

/** Starts workers until there are `count`, each with this module and memory, and resolves once all have called `help`. */
export type StartHelpers = (count: number, module: WebAssembly.Module, memory: WebAssembly.Memory) => Promise<void>;

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
