// What was read of prompts outlives the page where that is asked for: it is found again, never
// believed where it was changed, and gone when it is deleted.

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import { launch, openTab } from "../../web/tools/browser.mjs";
import { makeRandomModel, TINY } from "./random-model.mjs";
import { servePage } from "./setting.mjs";

const MODEL = makeRandomModel(TINY);
/** Some 600 tokens. */
const QUESTION = "What was that again? ".repeat(30);

let site;
before(async () => (site = await servePage({ model: MODEL, models: dirname(MODEL) })));
after(() => site?.close());

/** A page with the model, in place of the one before; prompts outlive it unless told otherwise. */
async function open(tab, options = { cache: { persist: true } }) {
  await tab.goto(site.address);
  const notice = await tab.evaluate(
    async (model, options) => {
      const notices = [];
      const onNotice = (sentence) => notices.push(sentence);
      self.phi = await Phi.load({
        model,
        backend: "cpu",
        contextLength: 2048,
        ...options,
        onNotice,
      });
      self.ask = async (content, key) => {
        const request = { messages: [{ role: "user", content }], temperature: 0, max_tokens: 24 };
        if (key) request.prompt_cache_key = key;
        const { choices } = await phi.chat.completions.create(request, { onNotice });
        const { cachedTokens, promptTokens } = await phi.stats();
        const told = notices.splice(0);
        return { text: choices[0].message.content, cachedTokens, promptTokens, told };
      };
      self.settled = (request) =>
        new Promise((resolve, reject) => {
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
      self.within = async (act) => {
        const { name } = (await indexedDB.databases()).find(({ name }) =>
          name.endsWith("/prefixes"),
        );
        const database = await settled(indexedDB.open(name));
        const stores = database.transaction(["pages", "uses"], "readwrite");
        const done = await act(stores.objectStore("pages"), stores.objectStore("uses"));
        database.close();
        return done;
      };
      self.pages = async () => {
        const all = await indexedDB.databases();
        if (!all.some(({ name }) => name.endsWith("/prefixes"))) return [];
        return (await within((pages) => settled(pages.getAllKeys()))).map(([, name]) => name);
      };
      return notices.splice(0).join(" ");
    },
    site.model,
    options,
  );
  return { tab, notice, ask: (...asked) => tab.evaluate((...asked) => ask(...asked), ...asked) };
}

for (const kind of ["chromium without WebGPU", "firefox", "webkit"])
  describe(`what was read, ${kind}`, () => {
    let browser, page;
    before(async () => {
      browser = await launch(kind);
      page = await openTab(browser);
    });
    after(() => browser?.close());

    it("is read no second time after a reload, and goes when it is deleted", async () => {
      const first = await open(page);
      assert.equal(first.notice, "");
      const fresh = await first.ask(QUESTION, "one");
      assert.deepEqual([fresh.cachedTokens, fresh.told], [0, []]);
      await first.ask(`Something else. ${QUESTION}`, "two");

      const second = await open(page);
      const again = await second.ask(QUESTION, "one");
      assert.equal(again.text, fresh.text);
      assert.equal(again.cachedTokens, Math.floor((fresh.promptTokens - 1) / 64) * 64);
      const [all, left] = await second.tab.evaluate(async () => {
        const all = await pages();
        await Phi.deletePrefixes({ promptCacheKey: "one" });
        return [all.length, (await pages()).length];
      });
      assert.ok(left > 0 && left < all, `${left} of ${all} are left`);

      const third = await open(page);
      assert.equal((await third.ask(QUESTION, "one")).cachedTokens, 0);
      const other = await third.ask(`Something else. ${QUESTION}`, "two");
      assert.ok(other.cachedTokens > 0);
      // Who deletes the model deletes them, and what is asked afterwards is not kept.
      const gone = await third.tab.evaluate(async () => {
        const [{ id }] = await Phi.listModels();
        await Phi.deleteModel(id);
        return (await pages()).length;
      });
      assert.equal(gone, 0);
      assert.deepEqual((await third.ask(`More. ${QUESTION}`)).told, []);
      assert.equal(await third.tab.evaluate(async () => (await pages()).length), 0);
    });

    it("costs what was changed, and never an answer", async () => {
      const first = await open(page);
      const { text } = await first.ask(QUESTION);
      const count = await first.tab.evaluate(async () => {
        const names = await within(async (pages, uses) => {
          const keys = await settled(uses.getAllKeys());
          const used = await Promise.all(keys.map((key) => settled(uses.get(key))));
          // The beginning was used last.
          const names = keys.sort((a, b) => used[keys.indexOf(b)] - used[keys.indexOf(a)]);
          const bytes = await settled(pages.get(names[2]));
          bytes[100] ^= 1;
          await settled(pages.put(bytes, names[2]));
          return names;
        });
        return names.length;
      });
      assert.ok(count > 4);
      const second = await open(page);
      const again = await second.ask(QUESTION);
      assert.deepEqual([again.text, again.cachedTokens], [text, 128]);
      await second.tab.evaluate(() => Phi.deletePrefixes());
      assert.equal(await second.tab.evaluate(async () => (await pages()).length), 0);
    });

    it("is kept where that is asked for, with a model that is kept, in its bytes", async () => {
      const plain = await open(page, {});
      await plain.ask(QUESTION);
      assert.equal(await plain.tab.evaluate(async () => (await pages()).length), 0);
      const refused = await plain.tab.evaluate(
        (model) =>
          Phi.load({ model, storage: "none", cache: { persist: true } }).catch(
            ({ code, message }) => [code, message],
          ),
        site.model,
      );
      assert.equal(refused[0], "bad-option");
      assert.match(refused[1], /storage/);
      const one = await open(page);
      await one.ask(`One. ${QUESTION}`);
      const bytes = () =>
        page.evaluate(async () =>
          (await pages())
            .map((name) => Number(name.split(".").at(-1)))
            .reduce((sum, one) => sum + one, 0),
        );
      // There is room for two questions, and not for three.
      const most = Math.floor(2.5 * (await bytes()));
      const short = await open(page, { cache: { persist: true, maxBytes: most } });
      for (const start of ["Two", "Three"]) await short.ask(`${start}. ${QUESTION}`);
      assert.ok(most > 0 && (await bytes()) <= most, `${await bytes()} of ${most} bytes`);
      const again = await open(page, { cache: { persist: true, maxBytes: most } });
      assert.ok((await again.ask(`Three. ${QUESTION}`)).cachedTokens > 64);
      await again.tab.evaluate(() => Phi.deletePrefixes());
      const least = await open(page, { cache: { persist: true, maxBytes: 1000 } });
      assert.match(least.notice, /not kept: .*1000 bytes/);
      assert.ok((await least.ask(QUESTION)).text);
    });

    it("is taken to another page as a blob", async () => {
      const { tab, ask } = await open(page, {});
      const { text, promptTokens } = await ask(QUESTION);
      const moved = await tab.evaluate(async (content) => {
        const session = await phi.exportSession([{ role: "user", content }]);
        await phi.unload();
        const [model] = await Phi.listModels();
        const load = (options) =>
          Phi.load({ model, backend: "cpu", contextLength: 2048, ...options });
        self.phi = await load();
        const known = await phi.importSession(session);
        const code = (blob) => phi.importSession(blob).catch(({ code }) => code);
        const codes = [
          await code(session.slice(0, session.size - 1)),
          await code(new Blob(["no session"])),
          await code("no blob"),
        ];
        await phi.unload();
        const other = await load({ kv: "f16" });
        codes.push(await other.importSession(session).catch(({ code }) => code));
        await other.unload();
        self.phi = await load();
        await phi.importSession(session);
        return { known, codes };
      }, QUESTION);
      assert.equal(moved.known, Math.floor(promptTokens / 64) * 64);
      assert.deepEqual(moved.codes, ["corrupt", "corrupt", "bad-option", "bad-option"]);
      const again = await ask(QUESTION);
      assert.deepEqual([again.text, again.cachedTokens > 0], [text, true]);
    });
  });
