// What an earlier version stored is there, and is fetched no second time: models, a part of a
// download, what was taken out, conversations, settings. tests/stored/make.mjs had it made.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AppPage } from "../../web/tools/app-page.mjs";
import { launch, openTab } from "../../web/tools/browser.mjs";
import { serve } from "../../web/tools/serve.mjs";
import { ADDRESS, placeOf, QUESTION, resolved, SHAPE, unpack } from "../stored/files.mjs";
import { STORAGES } from "../stored/storages.mjs";
import { inOneLine } from "./app.mjs";
import { Hub } from "./hub.mjs";
import { makeRandomModel } from "./random-model.mjs";

const PLACE = placeOf("6ae0297");
const MODEL = makeRandomModel(SHAPE);
const SIZE = statSync(MODEL).size;
const ANSWER = readFileSync(new URL("answer.txt", PLACE), "utf8");
const APP = JSON.parse(readFileSync(new URL("app.json", PLACE), "utf8"));
const TAKEN_OUT = join(unpack(new URL("taken-out.tar.br", PLACE)), "model.tar");
/** What a start reads of a file before its weights. */
const HEADERS = 1 << 20;

let hub, site;
before(async () => {
  // Where the model came from.
  hub = await Hub.open(dirname(MODEL));
  site = await serve({ models: tmpdir() });
});
after(() => {
  for (const { server } of [hub, site]) {
    server.closeAllConnections();
    server.close();
  }
});

/** A browser with that in its storage, as it lay there, and a tab with the package. */
async function openWith(folder, { args, write }, t) {
  const browser = await launch("chromium without WebGPU", {
    args: [...resolved(hub.address).args, ...args],
  });
  t.after(() => browser.close());
  const tab = await openTab(browser);
  await tab.goto(`${site.address}lab/`);
  if (folder) await tab.evaluate(write, basename(folder), filesOf(folder));
  return { browser, tab };
}

/** Paths in a folder. */
const filesOf = (folder) =>
  readdirSync(folder, { recursive: true }).filter((path) => statSync(join(folder, path)).isFile());

/** What a model says in the tab, what storage says of it before, and how much of it is there. */
function ask(tab, model) {
  return tab.evaluate(
    async (model, content) => {
      const [stored] = await Phi.listModels();
      let begun;
      const onProgress = (progress) => (begun ??= progress.stored);
      const phi = await Phi.load({ model: model ?? self.file, backend: "cpu", onProgress });
      const messages = [{ role: "user", content }];
      const { choices } = await phi.chat.completions.create({
        messages,
        temperature: 0,
        max_tokens: 32,
      });
      const { storage } = phi.description;
      await phi.unload();
      return { stored, begun, storage, answer: choices[0].message.content };
    },
    model,
    QUESTION,
  );
}

for (const [kind, storage] of Object.entries(STORAGES))
  describe(`what 6ae0297 stored in ${kind}`, () => {
    const whole = unpack(new URL(`${storage.prefix}whole.tar.br`, PLACE));
    const part = unpack(new URL(`${storage.prefix}part.tar.br`, PLACE));

    it("is a model, which answers without a request", async (t) => {
      const { tab } = await openWith(whole, storage, t);
      const { requests } = hub;
      const { stored, ...said } = await ask(tab, ADDRESS);
      assert.deepEqual(
        [stored.name, stored.source, stored.complete],
        ["random.gguf", ADDRESS, true],
      );
      assert.deepEqual(said, { storage: kind, begun: stored.bytes, answer: ANSWER });
      assert.deepEqual(await tab.evaluate((id) => Phi.checkModel(id), stored.id), {
        bad: 0,
        repaired: 0,
      });
      assert.equal(hub.requests, requests);
    });

    it("is a part of a download, of which only the rest is fetched", async (t) => {
      const { tab } = await openWith(part, storage, t);
      const { sent } = hub;
      const { stored, begun, answer } = await ask(tab, ADDRESS);
      assert.ok(!stored.complete && begun > SIZE / 6, `${begun} bytes were there`);
      assert.equal(answer, ANSWER);
      const again = hub.sent - sent - (stored.bytes - begun);
      assert.ok(again < HEADERS, `${again} bytes came again that were stored`);
    });

    it("is conversations, what was not sent yet, and settings", async (t) => {
      const { browser, tab } = await openWith(whole, storage, t);
      await tab.evaluate(restore, APP);
      const { requests } = hub;
      const page = await AppPage.open(browser, site.address);
      await page.loaded();
      assert.equal(await page.tab.$eval("#question", ({ value }) => value), "Not sent yet");
      await page.openChat(QUESTION);
      const [asked, answered] = APP.stores.messages.sort((a, b) => a.created - b.created);
      await page.tab.waitForSelector("article.assistant");
      assert.deepEqual(
        (await page.messages()).map(({ text, state }) => [inOneLine(text), state]),
        [asked, answered].map(({ content, state }) => [inOneLine(content), state]),
      );
      assert.equal(await page.tab.evaluate(() => document.documentElement.dataset.theme), "dark");
      await page.go("settings");
      assert.equal(await page.tab.$eval("#compute", ({ value }) => value), "cpu");
      // It was told to take less memory.
      const hints = await page.tab.$$eval("main small", (all) => all.map((one) => one.textContent));
      assert.ok(hints.some((hint) => hint.includes("1,024")));
      assert.deepEqual(await page.kept(), APP.stores);
      assert.equal(hub.requests, requests);
      assert.deepEqual(page.complaints, []);
    });

    it("is told to be in use while a tab of that version has it", async (t) => {
      const { browser, tab } = await openWith(whole, storage, t);
      const other = await openTab(browser);
      await other.goto(`${site.address}lab/`);
      const [{ id }] = await tab.evaluate(() => Phi.listModels());
      await other.evaluate(hold, id);
      await tab.bringToFront();
      const remove = () =>
        tab.evaluate(
          (id) =>
            Phi.deleteModel(id).then(
              () => "deleted",
              ({ code, message }) => [code, message],
            ),
          id,
        );
      const [code, message] = await remove();
      assert.equal(code, "in-use");
      assert.match(message, /^random\.gguf is in use, here or in another tab.*: close it there/);
      const said = ask(tab, ADDRESS);
      await other.evaluate(() => self.letGo());
      assert.equal((await said).answer, ANSWER);
      assert.equal(await remove(), "deleted");
    });
  });

describe("a model that 6ae0297 gave out", () => {
  it("is taken in, and answers", async (t) => {
    const { tab } = await openWith(undefined, STORAGES.opfs, t);
    const { requests } = hub;
    await tab.evaluate(() => {
      const input = document.body.appendChild(document.createElement("input"));
      Object.assign(input, { type: "file", id: "taken-out" });
      input.onchange = () => (self.file = input.files[0]);
    });
    await (await tab.$("#taken-out")).uploadFile(TAKEN_OUT);
    assert.equal((await ask(tab)).answer, ANSWER);
    assert.equal(hub.requests, requests);
  });
});

/** In a page: the app's database and settings, as 6ae0297 made them. */
async function restore({ stores, settings }) {
  for (const [key, value] of Object.entries(settings)) localStorage.setItem(key, value);
  const opening = indexedDB.open("phi-wasm-chats", 1);
  opening.onupgradeneeded = ({ target: { result: database } }) => {
    database.createObjectStore("conversations", { keyPath: "id" });
    const messages = database.createObjectStore("messages", { keyPath: "id" });
    messages.createIndex("conversation", "conversation");
    database.createObjectStore("drafts", { keyPath: "conversation" });
    database.createObjectStore("contacts", { keyPath: "host" });
  };
  const database = await new Promise(
    (resolve) => (opening.onsuccess = () => resolve(opening.result)),
  );
  const transaction = database.transaction(Object.keys(stores), "readwrite");
  for (const [store, rows] of Object.entries(stores))
    for (const row of rows) transaction.objectStore(store).put(row);
  await new Promise((resolve) => (transaction.oncomplete = resolve));
  database.close();
}

/** In a page: has a model as 6ae0297 has it while it loads. */
function hold(id) {
  return new Promise((held) => {
    void navigator.locks.request(`phi-wasm/${id}`, () => {
      held();
      return new Promise((release) => (self.letGo = release));
    });
  });
}
