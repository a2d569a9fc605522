// Which of GPU and CPU is faster: `auto` measures a model once, says so, and goes by what the
// browser has kept of it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { servePage } from "./setting.mjs";
import { makeTinyModel } from "./tiny.mjs";

let tiny, site, browser, tab;
before(async () => {
  tiny = makeTinyModel();
  [site, browser] = await Promise.all([servePage({ models: tiny.folder }), launch("chromium")]);
  ({ tab } = await Page.open(browser, site.address));
});
after(async () => {
  await browser?.close();
  site?.close();
  tiny?.remove();
});

/** What is loaded with these options. */
function load(options) {
  return tab.evaluate(async (options) => {
    const phi = await Phi.load({ model: new URL("/models/", location.href).href, ...options });
    const { description } = phi;
    await phi.unload();
    return description;
  }, options);
}

/** Has all that was measured be this. */
function settle(verdict) {
  return tab.evaluate(async (verdict) => {
    const notes = await caches.open("phi-wasm");
    const known = await (await notes.match("/phi-wasm/backends.json")).json();
    const changed = Object.fromEntries(Object.keys(known).map((rivals) => [rivals, verdict]));
    await notes.put("/phi-wasm/backends.json", new Response(JSON.stringify(changed)));
    return Object.keys(known);
  }, verdict);
}

describe("a GPU in software", () => {
  it("computes for nobody who does not ask for it", async () => {
    const { device, notice, measured } = await load({});
    assert.deepEqual([device, measured], ["cpu", undefined]);
    assert.match(notice, /^The CPU answers: the only GPU, .*, is a program on the CPU$/);
  });

  it("is measured once where it may compute, and what was found is gone by", async () => {
    const { device, measured } = await load({ softwareGpu: true });
    assert.ok(measured.gpu > 0 && measured.cpu > 0, JSON.stringify(measured));
    assert.equal(device, measured.cpu < measured.gpu ? "cpu" : "gpu");
    for (const [device, known] of [
      ["gpu", { gpu: 1, cpu: 2 }],
      ["cpu", { gpu: 2, cpu: 1 }],
    ]) {
      const rivals = await settle(known);
      assert.equal(rivals.length, 1);
      assert.match(rivals[0], /Chrome.*swiftshader.*, \d+ threads; phi \d.*; \d+ bytes$/i);
      const loaded = await load({ softwareGpu: true });
      assert.deepEqual([loaded.device, loaded.measured, loaded.notice], [device, known, undefined]);
    }
    const { measured: none } = await load({ backend: "cpu" });
    assert.equal(none, undefined);
  });
});
