// What the app may do in a browser, by its own policy: start its own scripts, write its own markup,
// and ask nobody once the model is here.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { askAnew, exported, file, HOSTILE, importFile, OFFER, openApp, SKY, text } from "./app.mjs";

for (const kind of ["chromium without WebGPU", "firefox"]) {
  describe(`the app's policy in ${kind}`, () => {
    let page, close;
    before(
      async () =>
        ({ page, close } = await openApp(kind, {
          extraPrefsFirefox: { "dom.webgpu.enabled": false },
        })),
    );
    after(() => close?.());

    it("lets it load, answer and show code", async () => {
      await page.load(OFFER);
      assert.equal(text(await askAnew(page, SKY)), SKY.answer);
      await importFile(page, file("hostile.json", exported("Hostile", "Show me a cat", HOSTILE)));
      await page.openChat("Hostile");
      await page.tab.waitForSelector("article.assistant .code .hljs-keyword");
      assert.deepEqual(page.complaints, []);
    });

    it("lets nothing else write markup, start scripts or make policies", async () => {
      const refused = await page.tab.evaluate(() => {
        const attempts = {
          markup: () => (document.createElement("p").innerHTML = "<b>x</b>"),
          worker: () => new Worker(new URL("./sealed/worker.js", document.baseURI)),
          policy: () => trustedTypes.createPolicy("another", { createHTML: (markup) => markup }),
          again: () => trustedTypes.createPolicy("phi-wasm", { createHTML: (markup) => markup }),
        };
        return Object.entries(attempts).map(([name, attempt]) => {
          try {
            attempt();
            return `${name} is let through`;
          } catch (error) {
            return error.name;
          }
        });
      });
      assert.deepEqual(refused, ["TypeError", "TypeError", "TypeError", "TypeError"]);
    });
  });
}

describe("the app on a host that sends no policy", () => {
  let site, page, close;
  before(async () => {
    ({ site, page, close } = await openApp("chromium without WebGPU"));
    const [serveFiles] = site.server.listeners("request");
    site.server.removeListener("request", serveFiles).on("request", (request, response) => {
      const { setHeader } = response;
      response.setHeader = (name, value) =>
        name === "Content-Security-Policy" ? response : setHeader.call(response, name, value);
      serveFiles(request, response);
    });
    await page.tab.waitForFunction(() => navigator.serviceWorker.controller);
  });
  after(() => close?.());

  /** What the engine's worker is refused when it asks a hub for something. */
  const refused = () =>
    page.tab.workers()[0].evaluate(async () => {
      const refused = new Promise((resolve) =>
        addEventListener(
          "securitypolicyviolation",
          ({ effectiveDirective, blockedURI }) => resolve([effectiveDirective, blockedURI]),
          { once: true },
        ),
      );
      const asked = fetch("https://huggingface.co/secret").then(
        () => "let through",
        () => "out of reach",
      );
      // The event is sent before the request fails, and heard after it.
      const outcome = await asked;
      return Promise.race([
        refused,
        new Promise((resolve) => setTimeout(() => resolve(outcome), 100)),
      ]);
    });

  it("may ask the hub while a model comes", async () => {
    await page.load(OFFER);
    assert.equal(await refused(), "out of reach");
  });

  it("may ask only its own site once the model is here, by the worker's policy", async () => {
    await page.reload();
    await page.loaded();
    assert.deepEqual(await refused(), ["connect-src", "https://huggingface.co/secret"]);
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });

  it("has the policy of the page on all its scripts", async () => {
    const policies = await page.tab.evaluate(async () => {
      const scripts = performance
        .getEntriesByType("resource")
        .map(({ name }) => name)
        .filter((name) => name.endsWith(".js"));
      return Promise.all(
        ["./", ...scripts].map(async (name) =>
          (await fetch(name)).headers.get("Content-Security-Policy"),
        ),
      );
    });
    assert.ok(policies.length > 3);
    for (const policy of policies)
      assert.match(
        policy ?? "none",
        /require-trusted-types-for 'script'; trusted-types phi-wasm; frame-ancestors 'none'/,
      );
  });
});
