// What the chat app keeps where the browser takes it away or takes nothing more, and what is left
// when everything is deleted.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AppPage } from "../../web/tools/app-page.mjs";
import { ENDLESS, exported, file, importFile, OFFER, openApp, SKY } from "./app.mjs";
import { makeTinyModel } from "./tiny.mjs";

for (const kind of ["chromium without WebGPU", "firefox"]) {
  describe(`what the app keeps in ${kind}`, () => {
    let site, page, close;
    before(async () => {
      ({ site, page, close } = await openApp(kind, {
        extraPrefsFirefox: { "dom.webgpu.enabled": false },
      }));
      await page.load(OFFER);
      await page.go("chat");
      await page.setUp({ preset: "precise" });
    });
    after(() => close?.());

    it("is all of a conversation that goes on after the browser has cleared it", async () => {
      await page.ask(SKY.question);
      await page.removeDatabase();
      await page.ask(SKY.question);
      const shown = await page.messages();
      await page.reload();
      await page.openChat(SKY.question);
      assert.equal(shown.length, 4);
      await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 4);
      assert.deepEqual(
        (await page.messages()).map(({ text }) => text),
        shown.map(({ text }) => text),
      );
      await page.loaded();
    });

    if (kind !== "firefox") {
      it("waits while there is no room, says so, is shown, and is written later", async () => {
        const browser = await page.tab.createCDPSession();
        const { origin } = new URL(site.address);
        await browser.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
        // Chromium remembers for half a minute how much room there was, but not of a database that
        // it has cleared.
        await browser.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
        await page.ask(SKY.question);
        assert.equal((await page.problem())?.code, "storage-full");
        assert.deepEqual((await page.kept())?.messages ?? [], []);
        const shown = await page.messages();
        assert.equal(shown.length, 6);
        await page.told("This browser took none of it", () =>
          importFile(page, file("refused.json", exported("Cats", "Of cats", "They purr"))),
        );
        assert.equal((await page.titles()).length, 1);
        await page.go("chat");
        await page.openChat(SKY.question);
        await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 6);
        assert.deepEqual(await page.messages(), shown);
        await browser.send("Storage.overrideQuotaForOrigin", { origin });
        await browser.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
        await page.tab.type("#question", "Is there room now?");
        await page.tab.waitForSelector("[data-code]", { hidden: true });
        assert.equal((await page.kept()).messages.length, 6);
        await page.clearDraft();
      });
    }

    it("is what was typed while an earlier draft was still being read, after that", async () => {
      await page.go("chat");
      await page.tab.type("#question", "Begun before");
      await page.draftKept();
      await page.openChat(SKY.question);
      // Who leaves before it has come takes nothing of it away.
      await page.holdDrafts();
      await page.go("chat");
      await page.openChat(SKY.question);
      await page.releaseDrafts();
      await page.holdDrafts();
      await page.go("chat");
      await page.tab.type("#question", ", and gone on with");
      await page.releaseDrafts();
      await page.tab.waitForFunction(() =>
        document.querySelector("#question").value.startsWith("Begun before"),
      );
      assert.equal(
        await page.tab.$eval("#question", (field) => field.value),
        "Begun before, and gone on with",
      );
      await page.draftKept();
      await page.clearDraft();
    });

    it("is no answer in a conversation that another tab throws away: it is stopped", async () => {
      const other = await AppPage.open(page.tab.browser(), site.address);
      await page.tab.bringToFront();
      await page.go("chat");
      await page.say(ENDLESS.question);
      await page.tab.waitForSelector("#stop");
      const [title] = await page.titles();
      await other.tab.bringToFront();
      await other.openChat(title);
      await other.menu(title, "Delete");
      await page.tab.bringToFront();
      await page.tab.waitForSelector("#stop", { hidden: true });
      assert.equal(
        await page.tab.$eval("#status", ({ textContent }) => textContent),
        "The answer is stopped.",
      );
      await other.tab.close();
    });

    it("is nothing once another tab has deleted everything, even amid an answer", async () => {
      const other = await AppPage.open(page.tab.browser(), site.address);
      await page.tab.bringToFront();
      await page.go("chat");
      await page.say(ENDLESS.question);
      await page.tab.waitForFunction(
        () => document.querySelector("article.assistant .markdown")?.textContent,
      );
      await other.tab.bringToFront();
      await Promise.all([page.tab.waitForNavigation(), other.wipe()]);
      for (const tab of [page, other]) {
        await tab.tab.bringToFront();
        await tab.tab.waitForSelector('main[data-screen="welcome"]');
        for (const [store, rows] of Object.entries((await tab.kept()) ?? {}))
          assert.deepEqual(rows, [], store);
        assert.equal(await tab.tab.evaluate(() => localStorage.length), 0);
        await tab.go("models");
        assert.match(
          await tab.tab.$eval("main", (main) => main.textContent),
          /No model is kept on this device/,
        );
      }
      assert.deepEqual([...page.complaints, ...other.complaints], []);
      await other.tab.close();
    });

    it("is told to be in use, also a model whose files were chosen one by one", async () => {
      const model = makeTinyModel();
      await page.tab.bringToFront();
      await page.go("models");
      await page.choose(
        ".own button",
        ...readdirSync(model.folder).map((name) => join(model.folder, name)),
      );
      await page.loaded();
      await page.tab.waitForSelector("[data-model] .in-use");
      assert.deepEqual(
        await page.tab.$$eval("[data-model]:has(.in-use) h3", (names) =>
          names.map(({ textContent }) => textContent),
        ),
        ["the chosen files"],
      );
      await page.press("Unload");
      await page.tab.waitForSelector("[data-model] .in-use", { hidden: true });
      model.remove();
    });
  });
}
