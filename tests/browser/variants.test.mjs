// The four wasm modules: each loads where it can, says what it is and answers as the reference
// does; the page takes the right one.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { LONGEST, noWorkers } from "../../web/tools/waiting.mjs";
import { makeRandomModel, RANDOM_ANSWERS, TINY } from "./random-model.mjs";
import { servePage } from "./setting.mjs";

const ANSWERS = RANDOM_ANSWERS.tiny.filter(({ name }) => name !== "endless");
const model = makeRandomModel(TINY);

let isolated, open;
before(
  async () =>
    ([isolated, open] = await Promise.all([
      servePage({ model }),
      servePage({ model, isolated: false }),
    ])),
);
after(() => {
  for (const site of [isolated, open]) site?.close();
});

/** Loads on the CPU; the page, and what it says computes. */
async function load(browser, site, wishes = {}) {
  const page = await Page.open(browser, site.address, {
    model: site.model,
    backend: "cpu",
    ...wishes,
  });
  const [, facts] = await page.load();
  return { page, backend: facts.split(" · ").at(-1) };
}

async function answers(page) {
  for (const { name, messages, answer } of ANSWERS) {
    await page.startOver(messages.find(({ role }) => role === "system")?.content ?? "");
    assert.equal((await page.ask(messages.at(-1).content)).text, answer, name);
  }
}

describe("the module of", () => {
  let browser;
  before(async () => (browser = await launch("chromium")));
  after(() => browser.close());

  const variants = [
    { variant: "simd", says: /^CPU, SIMD128, 1 thread$/ },
    { variant: "relaxed", says: /^CPU, relaxed SIMD, 1 thread$/ },
    { variant: "threads", threads: 2, says: /^CPU, SIMD128, 2 threads$/ },
    { variant: "threads-relaxed", threads: 3, says: /^CPU, relaxed SIMD, 3 threads$/ },
  ];
  for (const { variant, threads = 1, says } of variants) {
    it(`${variant} loads, says what it is, answers, and leaves no thread behind`, {
      timeout: LONGEST,
    }, async () => {
      const { page, backend } = await load(browser, isolated, {
        variant,
        threads: threads > 1 && threads,
      });
      assert.match(backend, says);
      assert.equal(page.tab.workers().length, threads, "one worker a thread");
      await answers(page);
      assert.deepEqual(page.complaints, []);
      await page.tab.click("#change");
      await noWorkers(page.tab);
      assert.match((await page.load())[1], new RegExp(backend), "it loads again");
      await page.tab.close();
    });
  }

  for (const [variant, threads] of [
    ["threads", 65],
    ["threads", -1],
    ["simd", 2],
  ]) {
    it(`${variant} refuses ${threads} threads`, async () => {
      await assert.rejects(load(browser, isolated, { variant, threads }), {
        code: "bad-option",
        message: /thread|options/,
      });
    });
  }

  it("the GPU shares its memory with threads that it does not need", async () => {
    const page = await Page.open(browser, isolated.address, {
      model: isolated.model,
      backend: "gpu",
      variant: "threads-relaxed",
    });
    await page.load();
    assert.equal(page.tab.workers().length, 1);
    assert.equal((await page.ask(ANSWERS[0].messages[0].content)).text, ANSWERS[0].answer);
    await page.tab.close();
  });
});

for (const kind of ["chromium", "firefox", "webkit"]) {
  describe(`left alone, ${kind}`, () => {
    let browser;
    before(async () => (browser = await launch(kind)));
    after(() => browser.close());

    // WebKitGTK has neither relaxed SIMD nor shared memory, however the page is served.
    const [kernels, most] = kind === "webkit" ? ["SIMD128", 1] : ["relaxed SIMD", 16];

    it("takes one thread on a page that may not share memory, and answers", async () => {
      const { page, backend } = await load(browser, open);
      assert.equal(backend, `CPU, ${kernels}, 1 thread`);
      await answers(page);
    });

    it("takes what it has on an isolated page", async () => {
      const { page, backend } = await load(browser, isolated);
      const cores = await page.tab.evaluate(() => navigator.hardwareConcurrency);
      assert.equal(await page.tab.evaluate(() => crossOriginIsolated), true);
      const threads = Math.min(cores, most);
      assert.equal(backend, `CPU, ${kernels}, ${threads} thread${threads === 1 ? "" : "s"}`);
      assert.equal((await page.ask(ANSWERS[0].messages[0].content)).text, ANSWERS[0].answer);
    });
  });
}
