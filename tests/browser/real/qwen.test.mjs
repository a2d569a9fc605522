// A real Qwen in a tab, which `cargo xtask test qwen` fetches: its answer is the reference's,
// whose every token is ahead of the next best by more than products are rounded by.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { launch } from "../../../web/tools/browser.mjs";
import { Page } from "../../../web/tools/page.mjs";
import { servePage } from "../setting.mjs";

/** The step `qwen` of `cargo xtask test` sets both. */
const { PHI_QWEN: MODEL, PHI_QWEN_GOLDEN } = process.env;
const GOLDEN = JSON.parse(readFileSync(PHI_QWEN_GOLDEN, "utf8"));

it("a real Qwen answers as the reference does", async (t) => {
  const site = await servePage({ model: MODEL });
  t.after(() => site.close());
  const browser = await launch("chromium without WebGPU");
  t.after(() => browser.close());
  const page = await Page.open(browser, site.address);
  const answer = await page.tab.evaluate(
    async (model, content, tokens) => {
      const phi = await Phi.load({ model, storage: "none", contextLength: 256 });
      const { choices } = await phi.chat.completions.create({
        messages: [{ role: "user", content }],
        temperature: 0,
        max_tokens: tokens,
      });
      return choices[0].message.content;
    },
    new URL(site.model, site.address).href,
    GOLDEN.question,
    GOLDEN.answer.length,
  );
  assert.equal(answer, GOLDEN.text);
});
