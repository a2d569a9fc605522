// The chat app over time: a slow line, a closed tab, long conversations, models that come and go.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AppPage } from "../../web/tools/app-page.mjs";
import { launch } from "../../web/tools/browser.mjs";
import { serve } from "../../web/tools/serve.mjs";
import { exported, file, importFile, inOneLine, SMALL, text } from "./app.mjs";
import { ANSWERS, MODEL } from "./setting.mjs";

const [CAPITAL] = ANSWERS;

/** A server in front of a site, at the end of a slow line that can be cut off in the middle of models. */
async function slowLine(site) {
  const line = { held: Promise.resolve(), release: () => {}, ranges: [] };
  const server = createServer((request, response) => {
    const options = { method: request.method, headers: { ...request.headers, host: new URL(site).host } };
    const passed = ask(new URL(request.url, site), options, async (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      const slowly = request.url.startsWith("/models/");
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      if (slowly && to) line.ranges.push([Number(from), Number(to) + 1]);
      for await (const piece of answer) {
        if (slowly) await line.held;
        if (response.destroyed) return answer.destroy();
        if (slowly) await sleep(2);
        response.write(piece);
      }
      response.end();
    });
    passed.on("error", () => response.destroy());
    request.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  line.hold = () => (line.held = new Promise((release) => (line.release = release)));
  line.close = () => (line.release(), server.closeAllConnections(), server.close());
  line.address = `http://127.0.0.1:${server.address().port}/`;
  return line;
}

/** Bytes in at least one of the ranges. */
function covered(ranges) {
  let end = 0;
  let sum = 0;
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    sum += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return sum;
}

describe("the app on a slow line, and its upkeep", () => {
  let site, line, browser, page;
  before(async () => {
    site = await serve({ models: dirname(MODEL), isolated: false });
    line = await slowLine(site.address);
    browser = await launch("chromium without WebGPU");
    page = await AppPage.open(browser, line.address);
  });
  after(async () => {
    await browser?.close();
    line?.close();
    site?.server.closeAllConnections();
    site?.server.close();
  });

  it("shows how far a download is, and pauses it", async () => {
    await page.begin(SMALL);
    await page.tab.waitForFunction(() => [document.querySelector("#loading progress")].some((progress) => progress?.value > 0.6 * progress?.max && progress.max > 1));
    line.hold();
    assert.match(await page.tab.$eval("#loading", (card) => card.textContent), /Downloading SmolLM2.*of 9\d.MB/s);
    await page.press("Pause");
    await page.tab.waitForSelector('#loading[data-phase="paused"]');
  });

  it("knows after a restart what has arrived, and fetches only the rest", async () => {
    await page.reload();
    await page.go("models");
    await page.tab.waitForFunction(() => / have arrived/.test(document.querySelector("[data-model]")?.textContent));
    line.release();
    line.ranges = [];
    await page.press("Go on");
    await page.loaded();
    const [fetched, { size }] = [covered(line.ranges), statSync(MODEL)];
    assert.ok(fetched < 0.75 * size, `${fetched} bytes of ${size} were fetched again after more than half of them had arrived`);
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    assert.equal(text(await page.ask(CAPITAL.messages[0].content)), CAPITAL.answer);
  });

  it("has several threads where the user wants them and the host says nothing", async () => {
    assert.equal(await page.tab.evaluate(() => crossOriginIsolated), false);
    await page.offlineReady();
    await page.tab.click("#isolate");
    await page.tab.waitForFunction(async () => (await caches.open("phi-wasm-choices").then((cache) => cache.keys())).length > 0);
    await page.reload();
    assert.equal(await page.tab.evaluate(() => crossOriginIsolated), true);
    await page.loaded();
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    const answer = await page.ask(CAPITAL.messages[0].content);
    assert.equal(text(answer), CAPITAL.answer);
    assert.match(answer.about, /threads/);
  });

  it("keeps the part of an answer that was there when its tab was closed", async () => {
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    await page.say("Tell me a long story about the sea.");
    const kept = await page.keptAnswer("writing");
    await page.tab.close();
    page = await AppPage.open(browser, line.address);
    await page.openChat("Tell me a long story about the sea.");
    await page.tab.waitForSelector('article[data-state="interrupted"]');
    assert.ok(inOneLine((await page.messages()).at(-1).text).startsWith(inOneLine(kept)), kept);
    await page.loaded();
    await page.tab.waitForSelector('[data-action="continue"]:not([disabled])');
  });

  it("shows long conversations page by page, and follows their end until the reader goes up", async () => {
    const long = exported("Long", "Question 0", "Answer 0");
    const [{ messages }] = long.conversations;
    for (let turn = 1; turn < 60; turn++) {
      const common = { conversation: "c", attachments: [], state: "done" };
      messages.push({ ...common, id: `q${turn}`, parent: messages.at(-1).id, role: "user", content: `Question ${turn}`, created: 2 * turn + 1 });
      messages.push({ ...common, id: `a${turn}`, parent: `q${turn}`, role: "assistant", content: `Answer ${turn}\n\nwith another paragraph`, created: 2 * turn + 2 });
    }
    await importFile(page, file("long.json", long));
    await page.openChat("Long");
    await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 50);
    const atEnd = () => page.tab.waitForFunction(() => [document.querySelector(".scroller")].every((it) => it.scrollHeight - it.scrollTop - it.clientHeight < 2));
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
    await page.tab.$$eval(":popover-open button", (buttons) => buttons.find(({ textContent }) => textContent === "Delete").click());
    await page.tab.waitForSelector("dialog[open]");
    await page.tab.click("dialog[open] .button.bad");
    await page.tab.waitForFunction(() => document.querySelector("main").textContent.includes("No model is kept on this device"));
  });

  it("leaves nothing behind when everything is deleted", async () => {
    await page.wipe();
    assert.deepEqual(await page.titles(), []);
    assert.equal(await page.tab.evaluate(() => localStorage.length), 0);
  });

  it("opens a file of the user's own once, and has it by itself the next time", async () => {
    const [chooser] = await Promise.all([page.tab.waitForFileChooser(), page.press("Open a file")]);
    await chooser.accept([MODEL]);
    await page.loaded();
    await page.reload();
    await page.loaded();
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    assert.equal(text(await page.ask(CAPITAL.messages[0].content)), CAPITAL.answer);
  });

  it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
});
