// The chat app over time: a slow line, a closed tab, long conversations, models that come and go.

import assert from "node:assert/strict";
import { appendFileSync, cpSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AppPage } from "../../web/tools/app-page.mjs";
import { PAGE, serve } from "../../web/tools/serve.mjs";
import {
  askAnew,
  ENDLESS,
  exported,
  file,
  folder,
  importFile,
  inOneLine,
  OFFER,
  openApp,
  SKY,
  STAND_IN,
  text,
} from "./app.mjs";
import { Hub } from "./hub.mjs";

const SIZE = statSync(STAND_IN).size;

describe("the app on a line that breaks off, and its upkeep", () => {
  const hub = new Hub(dirname(STAND_IN));
  let site, page, close;
  before(async () => {
    const from = { models: hub.answer, isolated: false };
    ({ site, page, close } = await openApp("chromium without WebGPU", {}, from));
  });
  after(() => close?.());

  it("shows how far a download is, and pauses it", async () => {
    // Of what was sent, a quarter can be in requests under way.
    hub.allow(0.95 * SIZE);
    await page.begin(OFFER);
    await page.tab.waitForFunction(() =>
      [document.querySelector("#loading progress")].some(
        (progress) => progress?.value > 0.5 * progress?.max && progress.max > 1,
      ),
    );
    assert.match(
      await page.tab.$eval("#loading", (card) => card.textContent),
      /Downloading SmolLM2.*of 2\d.MB/s,
    );
    await page.press("Pause");
    await page.tab.waitForSelector('#loading[data-phase="paused"]');
  });

  it("knows after a restart what has arrived, and fetches only the rest", async () => {
    await page.reload();
    await page.go("models");
    await page.tab.waitForFunction(() =>
      / have arrived/.test(document.querySelector("[data-model]")?.textContent),
    );
    await hub.idle();
    const { sent } = hub;
    hub.allow(Infinity);
    await page.press("Go on");
    await page.loaded();
    const fetched = hub.sent - sent;
    assert.ok(
      fetched < 0.75 * SIZE,
      `${fetched} bytes of ${SIZE} were fetched again after half of them had arrived`,
    );
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });

  it("has several threads where the user wants them and the host says nothing", async () => {
    assert.equal(await page.tab.evaluate(() => crossOriginIsolated), false);
    await page.offlineReady();
    await page.tab.click("#isolate");
    await page.tab.waitForFunction(
      async () => (await caches.open("phi-wasm-choices").then((cache) => cache.keys())).length > 0,
    );
    await page.reload();
    assert.equal(await page.tab.evaluate(() => crossOriginIsolated), true);
    await page.loaded();
    const answer = await askAnew(page, SKY);
    assert.equal(text(answer), SKY.answer);
    assert.match(answer.about, /threads/);
  });

  it("keeps the part of an answer that was there when its tab was closed", async () => {
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    await page.say(ENDLESS.question);
    const kept = await page.keptAnswer("writing");
    const browser = page.tab.browser();
    await page.tab.close();
    page = await AppPage.open(browser, site.address);
    await page.openChat(ENDLESS.question);
    await page.tab.waitForSelector('article[data-state="interrupted"]');
    assert.ok(inOneLine((await page.messages()).at(-1).text).startsWith(inOneLine(kept)), kept);
    await page.loaded();
    await page.tab.waitForSelector('[data-action="continue"]:not([disabled])');
  });

  it("shows long conversations by pages, and follows them until the reader goes up", async () => {
    const long = exported("Long", "Question 0", "Answer 0");
    const [{ messages }] = long.conversations;
    for (let turn = 1; turn < 60; turn++) {
      const common = { conversation: "c", attachments: [], state: "done" };
      messages.push({
        ...common,
        id: `q${turn}`,
        parent: messages.at(-1).id,
        role: "user",
        content: `Question ${turn}`,
        created: 2 * turn + 1,
      });
      messages.push({
        ...common,
        id: `a${turn}`,
        parent: `q${turn}`,
        role: "assistant",
        content: `Answer ${turn}\n\nwith another paragraph`,
        created: 2 * turn + 2,
      });
    }
    await importFile(page, file("long.json", long));
    await page.openChat("Long");
    await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 50);
    const atEnd = () =>
      page.tab.waitForFunction(() =>
        [document.querySelector(".scroller")].every(
          (it) => it.scrollHeight - it.scrollTop - it.clientHeight < 2,
        ),
      );
    await atEnd();
    await page.press("Show 50 earlier messages");
    await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 100);
    await page.press("Jump to the latest");
    await atEnd();
    await page.tab.waitForSelector(".jump", { hidden: true });
    await page.tab.$eval(".scroller", (scroller) => scroller.scrollBy(0, -10));
    await page.tab.waitForSelector(".jump");
  });

  it("deletes a model when asked twice", async () => {
    await page.go("models");
    await page.tab.click("[data-model] [popovertarget]");
    await page.tab.waitForSelector(":popover-open");
    await page.tab.$$eval(":popover-open button", (buttons) =>
      buttons.find(({ textContent }) => textContent === "Delete").click(),
    );
    await page.tab.waitForSelector("dialog[open]");
    await page.tab.click("dialog[open] .button.bad");
    await page.tab.waitForFunction(() =>
      document.querySelector("main").textContent.includes("No model is kept on this device"),
    );
  });

  it("leaves nothing behind when everything is deleted", async () => {
    await page.wipe();
    assert.deepEqual(await page.titles(), []);
    assert.equal(await page.tab.evaluate(() => localStorage.length), 0);
  });

  it("opens a file of the user's own once, and has it by itself the next time", async () => {
    const [chooser] = await Promise.all([page.tab.waitForFileChooser(), page.press("Open a file")]);
    await chooser.accept([STAND_IN]);
    await page.loaded();
    await page.reload();
    await page.loaded();
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });

  it("takes back what it has exported", async () => {
    await page.go("models");
    await page.tab.evaluate(() => {
      // As where the browser lets no page write to the disk.
      globalThis.showSaveFilePicker = undefined;
      const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => make.call(URL, (globalThis.exported = blob));
      // In place of a person who picks it.
      HTMLInputElement.prototype.click = function () {
        const picked = new DataTransfer();
        picked.items.add(new File([globalThis.exported], "exported.tar"));
        this.files = picked.files;
        this.dispatchEvent(new Event("change"));
      };
    });
    await page.tab.click("[data-model] [popovertarget]");
    await page.tab.waitForSelector(":popover-open");
    await page.tab.$$eval(":popover-open button", (buttons) =>
      buttons.find(({ textContent }) => textContent === "Export").click(),
    );
    await page.tab.waitForFunction(() => globalThis.exported);
    await page.press("Open a file");
    await page.tab.waitForFunction(() =>
      document.querySelector('a.model[data-phase="ready"]')?.textContent.includes("exported.tar"),
    );
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });

  it("tells once of a newer version, and changes to it when asked", async () => {
    const copy = join(folder, "app");
    cpSync(PAGE, copy, { recursive: true });
    const newer = await serve({ models: folder, page: copy });
    const app = await AppPage.open(page.tab.browser(), newer.address);
    await app.tab.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    appendFileSync(join(copy, "service-worker.js"), "\n// Newer.\n");
    await app.tab.evaluate(() =>
      navigator.serviceWorker.getRegistration().then((registration) => registration.update()),
    );
    await app.tab.waitForSelector(".toast button");
    assert.equal(await app.tab.$$eval(".toast", (toasts) => toasts.length), 1);
    await Promise.all([app.tab.waitForNavigation(), app.press("Reload the app")]);
    await app.tab.waitForFunction(() =>
      navigator.serviceWorker
        .getRegistration()
        .then(({ active, waiting }) => active?.state === "activated" && !waiting),
    );
    assert.deepEqual(app.complaints, []);
    await app.tab.close();
    newer.server.closeAllConnections();
    newer.server.close();
  });

  it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
});
