// A model of Phi-4-mini's full size: from a server into storage, from there onto the backend, and
// what that takes of memory and time. Its weights are pseudo-random, so it is its size that is
// tested; what it answers has no sense.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { openTab } from "../../web/tools/browser.mjs";
import { heap, tabBytes } from "../../web/tools/memory.mjs";
import { until } from "../../web/tools/waiting.mjs";
import { Hub } from "./hub.mjs";
import { servePage } from "./setting.mjs";
import { Device } from "./storage-lab.mjs";

/** The first file of the synthetic model; `cargo xtask test` writes it and sets this. */
const MODEL = process.env.PHI_FULL_SIZE;
if (!MODEL)
  throw new Error(
    "PHI_FULL_SIZE must name the synthetic model's first file: `cargo xtask test` writes it " +
      "and sets it",
  );

/** Bytes by which the JavaScript heaps of all threads may grow, whatever the model's size. */
const HEAP_GROWTH = 64 << 20;
/**
 * Tokens of context, and bytes that they take: keys and values of 8 heads of 128 in 32 layers, in
 * f16.
 */
const CONTEXT = 4096;
const CACHE = CONTEXT * 2 * 8 * 128 * 32 * 2;
/**
 * Bytes that a tab's process may take beside files and cache: the browser's own, most of it, the
 * module, the tokenizer, the engine's working memory, the heaps. Of Phi-4-mini in Q4_K_M a tab that
 * has it from storage takes less than 3.3 GB so.
 */
const SLACK = { downloaded: 335e6, stored: 275e6 };

const size = readdirSync(dirname(MODEL)).reduce(
  (sum, file) => sum + statSync(join(dirname(MODEL), file)).size,
  0,
);

/**
 * An idle page collects no rubbish then: memory that came back only by that would not come back.
 * And nobody looks at the network, for whom the tab would keep 200 MB of what it has fetched.
 */
const OPTIONS = { args: ["--js-flags=--no-memory-reducer"], networkEnabled: false };

let site, hub;
const device = new Device("chromium without WebGPU");
before(
  async () =>
    ([site, hub] = await Promise.all([
      servePage(),
      Hub.open(dirname(MODEL)),
      device.start(OPTIONS),
    ])),
);
after(async () => {
  await device.end();
  site?.close();
  hub?.close();
});

/** Looks at a tab's memory every so often; `peak` has the most that was seen. */
class Watch {
  peak = { heap: 0, process: 0 };
  #going = true;

  static async of(tab) {
    const watch = new Watch();
    watch.tab = tab;
    watch.page = await tab.createCDPSession();
    watch.done = watch.#look();
    return watch;
  }

  async end() {
    this.#going = false;
    await this.done;
    return this.peak;
  }

  async #look() {
    while (this.#going) {
      const threads = [this.page, ...this.tab.workers().map(({ client }) => client)];
      // A worker may end meanwhile.
      const heaps = await Promise.all(threads.map((thread) => heap(thread).catch(() => 0)));
      this.peak.heap = Math.max(
        this.peak.heap,
        heaps.reduce((sum, bytes) => sum + bytes),
      );
      this.peak.process = Math.max(this.peak.process, tabBytes(device.browser, "VmRSS"));
      await setTimeout(100);
    }
  }
}

async function openPage() {
  const tab = await openTab(device.browser);
  await tab.goto(site.address);
  return tab;
}

/** Loads the model: what it is, and how that went. */
function load(tab) {
  return tab.evaluate(
    async (model, contextLength) => {
      const heard = [];
      const start = performance.now();
      const onProgress = ({ phase, done }) => heard.push({ phase, done, at: performance.now() });
      self.phi = await Phi.load({ model, backend: "cpu", contextLength, onProgress });
      return { description: phi.description, seconds: (performance.now() - start) / 1e3, heard };
    },
    hub.address + basename(MODEL),
    CONTEXT,
  );
}

/** The same, and the most memory that it took, which may not be more than it must. */
async function loadWatched(tab, slack, t) {
  const watch = await Watch.of(tab);
  const outcome = await load(tab);
  const { heap, process } = await watch.end();
  t.diagnostic(
    `JavaScript's heaps took at most ${megabytes(heap)}, the process ${megabytes(process)}`,
  );
  assert.equal(outcome.description.storage, "opfs");
  assert.equal(await answer(tab), 4);
  assert.ok(heap < HEAP_GROWTH, `JavaScript's heaps took ${heap} bytes`);
  assert.ok(process < size + CACHE + slack, `the tab's process took ${process} bytes`);
  return outcome;
}

/** Unloads the model: the process gives its memory back. */
async function unload(tab, t) {
  const taken = () => tabBytes(device.browser, "VmRSS");
  const before = taken();
  await tab.evaluate(() => phi.unload());
  const after = await until(
    (bytes) => bytes < before - size,
    taken,
    `memory of the tab's process, of which ${before} bytes were taken before,`,
  );
  t.diagnostic(`${megabytes(before)} before it was unloaded, ${megabytes(after)} after`);
}

/**
 * Has the system forget what it holds of files, so that they come from the disk as they do on a
 * phone; whether it may be told to.
 */
function forgetFiles() {
  try {
    execFileSync("sync");
    writeFileSync("/proc/sys/vm/drop_caches", "3");
    return true;
  } catch {
    return false;
  }
}

/**
 * Bytes a second of the kept model's weights, read by the page's worker in pieces of a chunk and
 * put nowhere.
 */
function rawRate(tab) {
  return tab.workers()[0].evaluate(async () => {
    const all = await (await navigator.storage.getDirectory()).getDirectoryHandle("phi-wasm");
    const into = new Uint8Array(8 << 20);
    let [bytes, seconds] = [0, 0];
    for await (const folder of all.values()) {
      for await (const [name, file] of folder.entries()) {
        if (!name.endsWith(".safetensors")) continue;
        const access = await file.createSyncAccessHandle();
        const start = performance.now();
        for (let at = 0, count; (count = access.read(into, { at })) > 0; at += count)
          bytes += count;
        seconds += (performance.now() - start) / 1e3;
        access.close();
      }
    }
    return { bytes, rate: bytes / seconds };
  });
}

const answer = (tab) =>
  tab.evaluate(
    async () =>
      (await phi.complete({ prompt: "One two three", max_tokens: 4 })).usage.completion_tokens,
  );

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

describe(`a model of ${megabytes(size)}`, () => {
  it("is downloaded, kept and answers, and gives its memory back", async (t) => {
    const tab = await openPage();
    const { seconds } = await loadWatched(tab, SLACK.downloaded, t);
    t.diagnostic(`downloaded, turned into our form, kept and loaded in ${seconds.toFixed(1)} s`);
    await unload(tab, t);
  });

  it("comes from storage, about as fast as that is read, and gives memory back", async (t) => {
    // A process with nothing of the test before.
    await device.browser.close();
    await device.start(OPTIONS);
    hub.close();
    const tab = await openPage();
    const from = forgetFiles()
      ? "the disk"
      : "the system's memory of the disk, which only root may clear";
    const { seconds, heard } = await loadWatched(tab, SLACK.stored, t);
    assert.ok(
      heard.every(({ phase }) => phase === "loading"),
      JSON.stringify(heard[0]),
    );
    forgetFiles();
    const { bytes, rate } = await rawRate(tab);
    const [first, last] = [heard[0], heard.at(-1)];
    const loading = (last.done - first.done) / ((last.at - first.at) / 1e3);
    t.diagnostic(
      `${megabytes(bytes)} from ${from} onto the CPU in ${seconds.toFixed(1)} s, of which ` +
        `weights at ${megabytes(loading)}/s`,
    );
    t.diagnostic(
      `that is ${((100 * loading) / rate).toFixed(0)} % of the ${megabytes(rate)}/s at which a ` +
        "worker of the page reads the files",
    );
    assert.ok(bytes > 0.9 * size, `only ${bytes} bytes of weights are kept`);
    await unload(tab, t);
  });
});
