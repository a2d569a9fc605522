// Times the engine in this tab, as the address asks: loading, prefill, decoding. Programs read the
// figures as JSON.

import { type LoadOptions, Phi } from "../src/index.js";

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

async function time(model: string): Promise<void> {
  const { prompt = 251, gen = 48 } = asked("prompt", "gen");
  const onProgress: LoadOptions["onProgress"] = ({ done, total }) =>
    (state.textContent = `Loading: ${Math.floor((100 * done) / (total || 1))} %`);
  const options = {
    backend: "cpu",
    storage: "none",
    ...asked("backend", "variant", "threads", "storage"),
    model: new URL(model, location.href).href,
  };
  const start = performance.now();
  const phi = await Phi.load({ ...options, onProgress } as LoadOptions);
  const load_ms = performance.now() - start;
  state.textContent = `Timing ${prompt} tokens of a prompt and ${gen} after them …`;
  const measured = await phi.bench(Number(prompt), Number(gen));
  figures.textContent = JSON.stringify(
    { load_ms, backend: phi.description.device, ...measured },
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
