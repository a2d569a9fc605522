// Times the engine in this tab, as the address asks: loading, prefill, decoding. Programs read the
// figures as JSON.

import { type LoadOptions, Phi, type ResponseFormat } from "../src/index.js";

const state = document.querySelector<HTMLElement>("#state")!;
const figures = document.querySelector<HTMLElement>("#figures")!;
const query = new URLSearchParams(location.search);

/** What the address says under these names, as numbers where it says numbers. */
function asked(...names: string[]): Record<string, string | number> {
  const found = names
    .filter((name) => query.get(name))
    .map((name) => [name, query.get(name)!] as const);
  return Object.fromEntries(
    found.map(([name, value]) => [name, /^\d+$/.test(value) ? Number(value) : value]),
  );
}

/**
 * What it costs to hold an answer to a schema: until its first token, before what that takes is
 * there and after; and each token, in turn with those of an answer that is free. Medians of three.
 */
async function held(phi: Phi, schema: string, max_tokens: number): Promise<object> {
  const json_schema = { name: "bench", schema: JSON.parse(schema) };
  const form: ResponseFormat = { type: "json_schema", json_schema, hint: false };
  const answer = async (max_tokens: number, response_format: ResponseFormat | null = null) => {
    const start = performance.now();
    await phi.complete({ prompt: "A", max_tokens, temperature: 1, seed: 1, response_format });
    const { decodeSeconds, generatedTokens } = (await phi.stats())!;
    return { all: performance.now() - start, token: (1e3 * decodeSeconds) / generatedTokens };
  };
  const first = await answer(1, form);
  const again = await answer(1, form);
  const free: number[] = [];
  const held: number[] = [];
  for (let round = 0; round < 3; round++) {
    free.push((await answer(max_tokens)).token);
    held.push((await answer(max_tokens, form)).token);
  }
  const median = (of: number[]) => [...of].sort((one, other) => one - other)[1]!;
  return {
    first_form_ms: first.all,
    next_form_ms: again.all,
    free_token_ms: median(free),
    held_token_ms: median(held),
    held_ratio: median(held.map((ms, round) => ms / free[round]!)),
  };
}

async function time(model: string): Promise<void> {
  const { prompt = 251, gen = 48, depth = 0 } = asked("prompt", "gen", "depth");
  const onProgress: LoadOptions["onProgress"] = ({ done, total }) =>
    (state.textContent = `Loading: ${Math.floor((100 * done) / (total || 1))} %`);
  const options = {
    backend: "cpu",
    storage: "none",
    ...asked("backend", "variant", "threads", "storage", "kv", "contextLength"),
    model: new URL(model, location.href).href,
  };
  const start = performance.now();
  const phi = await Phi.load({ ...options, onProgress } as LoadOptions);
  const load_ms = performance.now() - start;
  state.textContent = `Timing ${prompt} tokens of a prompt and ${gen} after them …`;
  const measured = await phi.bench(Number(prompt), Number(gen), Number(depth));
  const schema = query.get("schema");
  const form = schema ? await held(phi, schema, Number(gen)) : {};
  figures.textContent = JSON.stringify(
    { load_ms, backend: phi.description.device, ...measured, ...form },
    null,
    2,
  );
  state.textContent = "Done.";
  await phi.unload();
}

/** Whoever drives the browser waits for one of these. */
function end(outcome: "done" | "failed"): void {
  document.body.dataset.outcome = outcome;
}

const model = query.get("model");
if (model) {
  time(model).then(
    () => end("done"),
    (error: Error) => {
      state.textContent = error.message;
      end("failed");
    },
  );
}
