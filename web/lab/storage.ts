// Has a worker, or this page's own thread, do with stored models what a test says.

import {
  deleteModel,
  exportModel,
  listModels,
  persist,
  storageEstimate,
} from "../src/storage/index.js";

type Outcome = { value: unknown } | { error: { code?: string; message: string; missing?: number } };

interface FromWorker {
  /** Bytes that were flushed so far. */
  flushed?: number;
  outcome?: Outcome;
}

/** The archive that is being read. */
let archive: { reader: ReadableStreamDefaultReader<Uint8Array>; bytes: number } | undefined;

/** What the page's thread can do by itself. */
const HERE: Record<string, (wishes: never) => Promise<unknown>> = {
  list: async () =>
    (await listModels()).map((model) => ({ ...model, lastUsed: model.lastUsed.getTime() })),
  estimate: storageEstimate,
  persist,
  delete: ({ id }: { id: string }) => deleteModel(id),
  /** Sends the archive to the server, which is the test. */
  export: async ({ id, to }: { id: string; to: string }) => {
    const body = await new Response(await exportModel(id)).blob();
    return (await fetch(to, { method: "POST", body })).status;
  },
  /**
   * Reads on in the archive, keeping none of it, until so many bytes were read or there are no
   * more; the bytes read so far.
   */
  readOn: async ({ id, until }: { id: string; until: number }) => {
    archive ??= { reader: (await exportModel(id)).getReader(), bytes: 0 };
    while (archive.bytes < until) {
      const { done, value } = await archive.reader.read();
      if (done) break;
      archive.bytes += value.length;
    }
    return archive.bytes;
  },
  fetch: ({ address }: { address: string }) => fetch(address).then(({ status }) => status),
  /** A new worker, without these features. */
  start: async ({ without = [] }: { without?: string[] }) => lab.start(without),
};

const lab = {
  worker: undefined as Worker | undefined,
  flushed: 0,
  outcome: undefined as Outcome | undefined,

  start(without: string[]): void {
    this.worker?.terminate();
    this.worker = new Worker(new URL("./storage-worker.ts", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.flushed) this.flushed = data.flushed;
      if (data.outcome) this.end(data.outcome);
    };
    this.worker.onerror = ({ message }) =>
      this.end({ error: { message: message || "the worker's script did not load" } });
    this.worker.postMessage({ without });
  },

  /** Begins a command; `outcome` is there when it is over. */
  begin(command: string, wishes: object = {}): void {
    this.outcome = undefined;
    this.flushed = 0;
    const here = HERE[command];
    if (!here) return this.worker!.postMessage({ command, wishes });
    here(wishes as never).then(
      (value) => this.end({ value: value ?? null }),
      ({ code, message, missing }) => this.end({ error: { code, message, missing } }),
    );
  },

  end(outcome: Outcome): void {
    this.outcome = outcome;
    document.querySelector("#outcome")!.textContent = JSON.stringify(outcome, null, 2);
  },
};

Object.assign(window, { lab });
