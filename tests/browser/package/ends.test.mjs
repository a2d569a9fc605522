// Engines that end by themselves, or that do not stop when they are told to: the page hears of it,
// and goes on where it can.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { openHost } from "./host.mjs";

let host, tab;
before(async () => (host = await openHost({ isolated: true })));
after(() => host?.close());
beforeEach(async () => (tab = await host.openTab()));
afterEach(() => tab.close());

/**
 * Has the next worker, or the one that comes as its `number`th, run a module of its own before it
 * is told anything. What a debugger runs would not count as the page's: no event tells of its
 * errors.
 */
async function changeWorker(module, number = 1) {
  await tab.evaluate((number) => {
    const { postMessage } = Worker.prototype;
    const changed = new Promise((resolve) => (self.workerIsChanged = resolve));
    const met = new Set();
    Worker.prototype.postMessage = function (...message) {
      if ([...met.add(this)].indexOf(this) !== number - 1) postMessage.apply(this, message);
      else void changed.then(() => postMessage.apply(this, message));
    };
  }, number);
  let come = 0;
  tab.on("workercreated", async (worker) => {
    if (++come !== number) return;
    // A worker that has just begun has nothing yet.
    while (!(await worker.evaluate(() => self.onmessage !== null)));
    await worker.evaluate(
      async (module) =>
        void (await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })))),
      module,
    );
    await tab.evaluate(() => self.workerIsChanged());
  });
}

const load = (options) =>
  tab.evaluate(
    async (model, options) => {
      self.heard = new Promise((resolve) => (self.hear = resolve));
      self.notices = [];
      const onFailure = (error, again) => hear([error.code, error.message, again]);
      self.phi = await Phi.load({
        model,
        backend: "cpu",
        ...options,
        onFailure,
        onNotice: (notice) => notices.push(notice),
      });
      return phi.description.backend;
    },
    host.tiny,
    options,
  );

/** Does something in the engine's worker, which cannot answer any more. */
function strike(what) {
  const [engine] = tab.workers();
  engine.evaluate(what).catch(() => {});
}

describe("an engine that", () => {
  for (const variant of ["simd", "threads"]) {
    it(`traps while it loads, with the module "${variant}", is told of`, async () => {
      // What a module calls and does not catch unwinds it as a trap does.
      await changeWorker(`
        const { setTimeout } = self;
        self.setTimeout = (act, milliseconds) => {
          // As it waits for a server.
          if (milliseconds === 30_000) throw new WebAssembly.RuntimeError("unreachable");
          return setTimeout(act, milliseconds);
        };`);
      const error = await tab.evaluate(
        (model, variant) => failure(Phi.load({ model, variant, backend: "cpu", storage: "none" })),
        host.tiny,
        variant,
      );
      assert.deepEqual([error.code, error.isPhi], ["internal", true], error.message);
      assert.match(error.message, /unreachable\): load the model again$/);
    });

    it(`is refused memory by the browser, with "${variant}", is told of as such`, async () => {
      await changeWorker(`
        const { setTimeout } = self;
        self.setTimeout = (act, milliseconds) => {
          if (milliseconds === 30_000) throw new RangeError("Array buffer allocation failed");
          return setTimeout(act, milliseconds);
        };`);
      const error = await tab.evaluate(
        (model, variant) => failure(Phi.load({ model, variant, backend: "cpu", storage: "none" })),
        host.tiny,
        variant,
      );
      assert.deepEqual([error.code, error.isPhi], ["out-of-memory", true], error.message);
      assert.match(
        error.message,
        /Array buffer allocation failed\): load with a shorter context or a smaller model/,
      );
    });
  }

  it("has a thread that traps while it computes is told of", async () => {
    // The helper's module has no functions in its table: what the engine hands it cannot be called.
    const module = `${await tab.evaluate(() => location.origin)}/threads.wasm`;
    await changeWorker(
      `
      const bytes = new Uint8Array(await (await fetch("${module}")).arrayBuffer());
      const kept = [bytes.subarray(0, 8)];
      for (let at = 8; at < bytes.length; ) {
        let [length, body] = [0, at + 1];
        for (let shift = 0; ; shift += 7) {
          length |= (bytes[body] & 127) << shift;
          if (bytes[body++] < 128) break;
        }
        const ELEMENTS = 9;
        if (bytes[at] !== ELEMENTS) kept.push(bytes.subarray(at, body + length));
        at = body + length;
      }
      const broken = await WebAssembly.compile(await new Blob(kept).arrayBuffer());
      const { Instance } = WebAssembly;
      WebAssembly.Instance = function (_, imports) { return new Instance(broken, imports); };`,
      2,
    );
    const error = await tab.evaluate((model) => {
      const answer = Phi.load({
        model,
        variant: "threads",
        threads: 2,
        backend: "cpu",
        storage: "none",
      });
      // On a busy machine the helper's first task is late.
      return failure(answer.then((phi) => phi.complete({ prompt: "abc", max_tokens: 1500 })));
    }, host.tiny);
    assert.deepEqual([error?.code, error?.isPhi], ["internal", true], error?.message);
    assert.match(error.message, /(null|table|indirect|signature).*load the model again$/);
  });

  it("is gone without a word is told of to who waits, who listens and who asks later", async () => {
    assert.match(await load({ storage: "none", threads: 2 }), /2 threads/);
    // It may be gone before it is asked: whoever asks too late hears the same, and none gets an
    // answer.
    strike(() => self.close());
    const answer = tab.evaluate(() => failure(phi.complete({ prompt: "abc", max_tokens: 1500 })));
    const [code, message, again] = await tab.evaluate(() => heard);
    assert.deepEqual([code, again ?? "nothing"], ["internal", "nothing"]);
    assert.match(message, /worker is gone without a word: load the model again$/);
    for (const error of [await answer, await tab.evaluate(() => failure(phi.tokenize("abc")))])
      assert.deepEqual([error?.code, error?.message], [code, message]);
  });

  it("does not stop is ended, and its model comes back out of storage", async () => {
    await load({});
    const said = await tab.evaluate(
      async () => (await phi.complete({ prompt: "abc", max_tokens: 8 })).choices[0].text,
    );
    strike(() => {
      for (;;);
    });
    const [pieces, again, later] = await tab.evaluate(async () => {
      const abort = new AbortController();
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function (...message) {
        Worker.prototype.postMessage = postMessage;
        postMessage.apply(this, message);
        setTimeout(() => abort.abort());
      };
      const answer = all(
        phi.complete({ prompt: "abc", max_tokens: 8, stream: true }, { signal: abort.signal }),
      );
      const [, , again] = await heard;
      const pieces = await answer;
      const later = phi.complete({ prompt: "abc", max_tokens: 8 });
      return [pieces, (await again) ?? "loaded", (await later).choices[0].text];
    });
    assert.deepEqual(
      [pieces.at(-1).choices[0].finish_reason, again, later],
      ["cancelled", "loaded", said],
    );
    assert.match(await tab.evaluate(() => notices.at(-1)), /did not stop when it was told to/);
    await tab.evaluate(async () => {
      await phi.unload();
      for (const { id } of await Phi.listModels()) await Phi.deleteModel(id);
    });
  });
});
