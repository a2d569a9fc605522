// What holds answers to forms is one of the installed app's files: nobody has asked for it when the
// server is gone, and it is there.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { OFFER, openApp } from "./app.mjs";
import { makeTinyModel } from "./tiny.mjs";

describe("the installed app", () => {
  let site, page, close;
  before(async () => ({ site, page, close } = await openApp("chromium without WebGPU")));
  after(() => close?.());

  it("has with the server gone what holds answers to forms, and never was asked for", async () => {
    await page.load(OFFER);
    await page.offlineReady();
    assert.deepEqual(
      page.requests.filter((address) => address.includes("phi_grammars")),
      [],
    );
    site.server.closeAllConnections();
    await new Promise((resolve) => site.server.close(resolve));
    // The app's policy lets nobody but its own scripts start a worker.
    await page.tab.setBypassCSP(true);
    await page.reload();
    const model = makeTinyModel();
    const files = readdirSync(model.folder).map((name) => [
      name,
      readFileSync(join(model.folder, name), "base64"),
    ]);
    model.remove();
    const said = await page.tab.evaluate(askForForm, files, {
      messages: [{ role: "user", content: "Is it?" }],
      response_format: { type: "regex", regex: "(yes|no), it is( not)?" },
    });
    assert.match(said, /^(yes|no), it is( not)?$/);
  });
});

/** In the app's page: has a worker of its own answer a request, with what the app has kept. */
async function askForForm(files, request) {
  const kept = [];
  for (const name of await caches.keys())
    for (const { url } of await (await caches.open(name)).keys()) kept.push(new URL(url));
  const address = (name) => {
    const { origin, pathname } = kept.find(({ pathname }) => pathname.includes(name));
    return origin + pathname;
  };
  const worker = new Worker("sealed/worker.js", { type: "module" });
  const answered = (message, last) =>
    new Promise((resolve, reject) => {
      let text = "";
      worker.onmessage = ({ data }) => {
        if (data.kind === "error") reject(new Error(data.error.message));
        if (data.kind === "event" && data.event.kind === "text") text += data.event.text;
        if (data.kind === last) resolve(text);
      };
      worker.onerror = ({ message }) => reject(new Error(message));
      if (message) worker.postMessage(message);
    });
  await answered(undefined, "hello");
  const wasm = address("/phi_wasm_bg-");
  const variant = crossOriginIsolated ? "threads-relaxed" : "relaxed";
  await answered({ id: 1, kind: "open", variant, wasm }, "opened");
  const model = files.map(
    ([name, bytes]) => new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name),
  );
  // Nobody starts helpers here.
  const options = { model, backend: "cpu", threads: 1 };
  await answered({ id: 2, kind: "load", options, storage: "none" }, "loaded");
  const grammars = address("/phi_grammars_bg-");
  await answered({ id: 3, kind: "open grammars", wasm: grammars }, "opened");
  const said = await answered({ id: 4, kind: "chat", request }, "end");
  worker.terminate();
  return said;
}
