// The page that times the engine. Nothing here asks how fast.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { figures } from "../../web/tools/bench/tab.mjs";
import { makeRandomModel, TINY } from "./random-model.mjs";
import { servePage } from "./setting.mjs";

describe("bench.html", () => {
  let site;
  before(async () => (site = await servePage({ model: makeRandomModel(TINY) })));
  after(() => site.close());

  const time = (wishes) => figures(`${site.address}bench.html?${new URLSearchParams(wishes)}`);

  it("has the figures that the benchmark promises", async () => {
    const measured = await time({ model: site.model, prompt: 12, gen: 3 });
    assert.deepEqual(
      [measured.backend, measured.prompt_tokens, measured.generated_tokens],
      ["cpu", 12, 3],
    );
    for (const key of ["prefill_tps", "decode_tps", "load_ms", "peak_bytes", "bytes_per_token"])
      assert.ok(measured[key] > 0, key);
  });

  it("has what a form costs, where one is given", async () => {
    const schema = JSON.stringify({ type: "array", items: { type: "boolean" } });
    const measured = await time({ model: site.model, prompt: 12, gen: 3, schema });
    for (const key of ["first_form_ms", "next_form_ms", "held_token_ms", "held_ratio"])
      assert.ok(measured[key] > 0, key);
  });

  it("says what is wrong", async () => {
    await assert.rejects(time({ model: "/models/nowhere.gguf" }), /nowhere\.gguf/);
    await assert.rejects(time({ model: site.model, prompt: 0 }), /promptTokens is 0: /);
  });
});
