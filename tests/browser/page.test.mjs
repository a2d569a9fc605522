// The page in real browsers, on the CPU and on WebGPU, with a real model: its greedy answers are
// the reference's.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { makeRandomModel, RANDOM_ANSWERS, TINY } from "./random-model.mjs";
import { ANSWERS, servePage } from "./setting.mjs";

const [SKY, POEM, ENDLESS] = RANDOM_ANSWERS.tiny;
const PATH = makeRandomModel(TINY);

/**
 * Where the reference's answers are told to their end. Chromium's GPU is played by a CPU and takes
 * a second a token: a few have to do.
 */
const BROWSERS = { chromium: ["cpu", "gpu"], firefox: ["cpu", "gpu"], webkit: ["cpu"] };
const isSlow = (kind, backend) => kind === "chromium" && backend === "gpu";

let site, tiny;
before(async () => ([site, tiny] = await Promise.all([servePage(), servePage({ model: PATH })])));
after(() => {
  for (const one of [site, tiny]) one?.close();
});

async function load(browser, { address, model }, backend) {
  const page = await Page.open(browser, address, { model, backend });
  await page.load();
  assert.equal(await page.device(), backend);
  return page;
}

for (const [kind, backends] of Object.entries(BROWSERS)) {
  describe(kind, () => {
    let browser;
    before(async () => (browser = await launch(kind)));
    after(() => browser?.close());

    for (const backend of backends.filter((backend) => !isSlow(kind, backend))) {
      it(`answers as the reference does on the ${backend}`, async () => {
        const page = await load(browser, site, backend);
        for (const { name, messages, answer } of ANSWERS) {
          await page.startOver(messages.find(({ role }) => role === "system")?.content ?? "");
          const { text, stats } = await page.ask(messages.at(-1).content);
          assert.equal(text, answer, name);
          assert.equal(stats.finish, "stop");
          assert.ok(
            stats.generatedTokens > 0 && stats.decodeTps > 0 && stats.prefillTps > 0,
            JSON.stringify(stats),
          );
        }
        assert.deepEqual(page.complaints, []);
      });
    }

    if (isSlow(kind, "gpu")) {
      it("goes on with a text on the gpu as on the cpu", async () => {
        const page = await Page.open(browser, site.address);
        const goOn = (backend) =>
          page.tab.evaluate(
            async (model, backend) => {
              const phi = await Phi.load({
                model: new URL(model, location.href).href,
                backend,
                storage: "none",
              });
              const { choices, usage } = await phi.complete({
                prompt: "The capital of France is",
                temperature: 0,
                max_tokens: 2,
              });
              await phi.unload();
              return {
                device: phi.description.device,
                text: choices[0].text,
                tokens: usage.completion_tokens,
              };
            },
            site.model,
            backend,
          );
        const said = await goOn("gpu");
        assert.deepEqual(said, { ...(await goOn("cpu")), device: "gpu" });
        assert.deepEqual([said.text, said.tokens], [" Paris.", 2]);
        assert.deepEqual(page.complaints, []);
      });
    }

    for (const backend of backends) {
      it(`stops on the ${backend} when told to, and then answers again`, async () => {
        const page = await load(browser, tiny, backend);
        await page.tab.$eval("#longest", (field) => (field.value = "4000"));
        await page.begin(ENDLESS.messages[0].content);
        // At the first word, by the page itself: from out here it would come late at times, after
        // the last word.
        await page.tab.waitForFunction(
          () => {
            const begun =
              document.querySelector("article.answer:last-of-type div")?.textContent.length > 0;
            if (begun) document.querySelector("#stop").click();
            return begun;
          },
          { polling: "mutation" },
        );
        const { text, stats } = await page.finish();
        assert.equal(stats.finish, "cancelled");
        const length = Math.min(text.length, ENDLESS.answer.length);
        assert.equal(text.slice(0, length), ENDLESS.answer.slice(0, length));
        for (const { messages, answer } of [SKY, POEM]) {
          await page.startOver(messages.find(({ role }) => role === "system")?.content ?? "");
          assert.equal((await page.ask(messages.at(-1).content)).text, answer);
        }
        assert.deepEqual(page.complaints, []);
      });
    }
  });
}

describe("chromium without WebGPU", () => {
  let browser;
  before(async () => (browser = await launch("chromium without WebGPU")));
  after(() => browser?.close());

  it("falls back to the CPU, says so, and answers", async () => {
    const page = await Page.open(browser, tiny.address, { model: tiny.model });
    const lines = await page.load();
    assert.equal(await page.device(), "cpu");
    assert.match(lines.at(-1), /^The CPU answers: /);
    assert.equal((await page.ask(SKY.messages[0].content)).text, SKY.answer);
    assert.deepEqual(page.complaints, []);
  });

  it("says that there is no GPU to one who insists on it", async () => {
    const page = await Page.open(browser, tiny.address, { model: tiny.model, backend: "gpu" });
    await assert.rejects(page.load(), { code: "no-gpu" });
  });

  it("answers from a file of this machine", async () => {
    const page = await Page.open(browser, tiny.address, { backend: "cpu" });
    await page.openFiles(PATH);
    assert.equal((await page.ask(SKY.messages[0].content)).text, SKY.answer);
    assert.deepEqual(page.complaints, []);
  });
});
