// The page in real browsers, on the CPU and on WebGPU, with a real model: its greedy answers are the reference's.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { ANSWERS, MODEL, servePage } from "./setting.mjs";

const BROWSERS = ["chromium", "firefox"];
const BACKENDS = ["cpu", "gpu"];

let site;
before(async () => (site = await servePage()));
after(() => site.close());

for (const kind of BROWSERS) {
  describe(kind, () => {
    let browser;
    before(async () => (browser = await launch(kind)));
    after(() => browser.close());

    for (const backend of BACKENDS) {
      describe(backend, () => {
        let page;
        before(async () => {
          page = await Page.open(browser, site.address, { model: site.model, backend });
          await page.load();
        });
        after(() => page.tab.close());

        it("says what computes", async () => {
          assert.equal(await page.device(), backend);
        });

        // Where a CPU plays the GPU, a token takes a second or so: no whole story is told there.
        const longest = kind === "chromium" && backend === "gpu" ? 16 : 1000;
        for (const { name, messages, answer } of ANSWERS) {
          it(`answers ${name} as the reference does`, async () => {
            await page.startOver(messages.find(({ role }) => role === "system")?.content ?? "");
            await page.tab.$eval("#longest", (field, longest) => (field.value = longest), longest);
            const { text, stats } = await page.ask(messages.at(-1).content);
            const isCut = stats.generatedTokens === longest;
            assert.equal(text, isCut ? answer.slice(0, Math.max(text.length, longest)) : answer);
            assert.equal(stats.finish, isCut ? "length" : "stop");
            assert.ok(stats.generatedTokens > 0 && stats.decodeTps > 0 && stats.prefillTps > 0, JSON.stringify(stats));
          });
        }

        it("stops when told to, and then answers again", async () => {
          await page.startOver("");
          await page.begin("Tell me a long story about the sea.");
          await page.tab.waitForFunction(() => document.querySelector("article.answer:last-of-type div")?.textContent.length > 0);
          await page.tab.click("#stop");
          const { text, stats } = await page.finish();
          assert.equal(stats.finish, "cancelled");
          assert.ok(text.length < 1000, `${text.length} characters after the stop`);
          await page.startOver("");
          await page.tab.$eval("#longest", (field) => (field.value = "3"));
          const next = await page.ask(ANSWERS[0].messages[0].content);
          assert.ok(next.text.length > 3 && ANSWERS[0].answer.startsWith(next.text), next.text);
        });

        it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
      });
    }
  });
}

describe("chromium without WebGPU", () => {
  let browser;
  before(async () => (browser = await launch("chromium without WebGPU")));
  after(() => browser.close());

  it("falls back to the CPU, says so, and answers", async () => {
    const page = await Page.open(browser, site.address, { model: site.model });
    const lines = await page.load();
    assert.equal(await page.device(), "cpu");
    assert.match(lines.at(-1), /^The CPU answers: /);
    assert.equal((await page.ask(ANSWERS[0].messages[0].content)).text, ANSWERS[0].answer);
    assert.deepEqual(page.complaints, []);
  });

  it("says that there is no GPU to one who insists on it", async () => {
    const page = await Page.open(browser, site.address, { model: site.model, backend: "gpu" });
    await assert.rejects(page.load(), { code: "no-gpu" });
  });

  it("answers from a file of this machine", async () => {
    const page = await Page.open(browser, site.address, { backend: "cpu" });
    await page.openFiles(MODEL);
    assert.equal((await page.ask(ANSWERS[0].messages[0].content)).text, ANSWERS[0].answer);
    assert.deepEqual(page.complaints, []);
  });
});
