// GPUs that are lost while the page loads a model or answers: it goes on, with the same text, and
// says so.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { makeRandomModel, RANDOM_ANSWERS, TINY } from "./random-model.mjs";
import { atStart, servePage, stopClock } from "./setting.mjs";

const [{ messages, answer }] = RANDOM_ANSWERS.tiny;
const QUESTION = messages.at(-1).content;

let site, browser;
before(
  async () =>
    ([site, browser] = await Promise.all([
      servePage({ model: makeRandomModel(TINY) }),
      launch("chromium"),
    ])),
);
after(async () => {
  await browser?.close();
  site?.close();
});

/**
 * Has the engine's worker lose its device at the given calls of one of a device's methods, counted
 * from now on over all devices; `what` they make.
 */
function strikeAt(worker, method, calls, what = "") {
  return worker.evaluate(
    (method, calls, what) => {
      // The method itself stays beneath, however often this is done.
      const original = ((self.originals ??= {})[method] ??= GPUDevice.prototype[method]);
      let made = 0;
      // On a busy machine the engine may call a device before it hears that it is lost.
      const lost = new WeakSet();
      self.struck = 0;
      GPUDevice.prototype[method] = function (...details) {
        if (
          !lost.has(this) &&
          (details[0]?.label ?? "").startsWith(what) &&
          calls.includes(made++)
        ) {
          lost.add(this);
          this.destroy();
          self.struck++;
        }
        return original.apply(this, details);
      };
    },
    method,
    calls,
    what,
  );
}

/**
 * Asks with the device lost at the given submissions; each new device begins with its own check.
 */
async function askStruck(page, calls) {
  const [worker] = page.tab.workers();
  await strikeAt(worker, "createCommandEncoder", calls);
  await page.startOver("");
  const heard = await page.ask(QUESTION);
  assert.equal(await worker.evaluate(() => self.struck), calls.length);
  assert.equal(heard.text, answer);
  assert.match(
    heard.notes[0] ?? "",
    /^The model is loaded again, and the answer goes on: the GPU was lost \(/,
  );
  return heard;
}

describe("a GPU that is lost", () => {
  let page;
  before(
    async () =>
      (page = await Page.open(browser, site.address, { model: site.model, softwareGpu: true })),
  );

  it("while the model is loaded costs only time", async () => {
    await atStart(page, (worker) =>
      Promise.all([stopClock(worker), strikeAt(worker, "createBuffer", [0], "model.layers.2.")]),
    );
    await page.load();
    assert.equal(await page.tab.workers()[0].evaluate(() => self.struck), 1);
    assert.equal(await page.device(), "gpu");
  });

  it("between words, and at once again, costs a notice", async () => {
    const { stats } = await askStruck(page, [2, 3]);
    assert.match(stats.backend, /^GPU /);
    assert.equal(await page.device(), "gpu");
  });

  it("before the first token, and twice more, leaves the answer to the CPU", async () => {
    const { notes, stats } = await askStruck(page, [0, 1, 2]);
    assert.match(notes.at(-1), /^The CPU answers: the GPU was lost 3 times in a row/);
    assert.match(stats.backend, /^CPU/);
    assert.equal(await page.device(), "cpu");
  });
});
