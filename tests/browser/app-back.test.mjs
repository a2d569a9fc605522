// A model that works, and another that is chosen and cannot be had: the first comes back, and the
// conversation goes on.

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { askAnew, file, folder, OFFER, openApp, SKY, STAND_IN, text } from "./app.mjs";
import { Hub } from "./hub.mjs";
import { makeRandomModel, TINY } from "./random-model.mjs";

const OWN = makeRandomModel(TINY, "own.gguf");
const WHOLE = readFileSync(OWN);

function written(name, bytes) {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
}

/** What people choose by mistake, what the app calls it, and what it offers. */
const BAD = {
  "not-a-model": [file("words.gguf", "Only words. ".repeat(100)), "Choose another model"],
  truncated: [written("half.gguf", WHOLE.subarray(0, WHOLE.length / 2)), "Choose another file"],
};

async function open(page, path) {
  await page.go("models");
  await page.choose("::-p-aria(Open a file)", path);
}

/** Waits until this went wrong and a model of this name is there. */
async function isBack(page, code, name) {
  const both = (code, name) =>
    document.querySelector(`[data-code="${code}"]`) &&
    document.querySelector('a.model[data-phase="ready"]')?.textContent.includes(name);
  await page.tab.waitForFunction(both, {}, code, name);
}

const modelRequests = (page) => page.requests.filter((address) => address.includes("/models/"));

describe("the app whose model works while another cannot be had", () => {
  const hub = new Hub(dirname(STAND_IN));
  let page, close;
  before(async () => {
    const from = { models: hub.answer, isolated: false };
    ({ page, close } = await openApp("chromium without WebGPU", {}, from));
    await page.load(OFFER);
  });
  after(() => close?.());

  for (const [code, [path, offered]] of Object.entries(BAD)) {
    it(`has it again from storage where a file is ${code}, and goes on`, async () => {
      assert.equal(text(await askAnew(page, SKY)), SKY.answer);
      const id = await page.tab.evaluate(() => location.hash.split("/").at(-1));
      const before = modelRequests(page).length;
      await open(page, path);
      await isBack(page, code, "SmolLM2");
      assert.equal(modelRequests(page).length, before);
      await page.go("chat", id);
      await page.tab.waitForSelector(`[data-code="${code}"] ::-p-aria(${offered})`);
      await page.press("Close");
      await page.tab.waitForSelector("[data-code]", { hidden: true });
      await page.act("assistant", "again");
      assert.equal(text(await page.answer()), SKY.answer);
    });
  }

  it("has it again where the address fails, after a pause, too, and retries if told", async () => {
    await open(page, OWN);
    await page.tab.waitForFunction(() =>
      document.querySelector('a.model[data-phase="ready"]')?.textContent.includes("own.gguf"),
    );
    await page.go("models");
    await page.tab.$$eval("[data-model]", (cards) =>
      cards
        .find(({ textContent }) => textContent.includes("SmolLM2"))
        .querySelector("[popovertarget]")
        .click(),
    );
    await page.tab.waitForSelector(":popover-open");
    await page.tab.$$eval(":popover-open button", (buttons) =>
      buttons.find(({ textContent }) => textContent === "Delete").click(),
    );
    await page.tab.waitForSelector("dialog[open]");
    await page.tab.click("dialog[open] .button.bad");
    await page.tab.waitForSelector(`[data-offer="${OFFER}"]`);
    hub.allow(0.5 * statSync(STAND_IN).size);
    await page.begin(OFFER);
    await page.tab.waitForFunction(() => document.querySelector("#loading progress")?.max > 1);
    await page.press("Pause");
    await page.tab.waitForSelector('#loading[data-phase="paused"]');
    hub.allow(Infinity);
    hub.fault = (_request, response) => Boolean(response.writeHead(404).end());
    await page.press("Resume");
    await isBack(page, "not-found", "own.gguf");
    hub.fault = () => false;
    await page.begin(OFFER);
    await page.loaded();
    assert.match(await page.tab.$eval("a.model", ({ textContent }) => textContent), /SmolLM2/);
  });

  it("takes another file in place of one that is cut short", async () => {
    await open(page, BAD.truncated[0]);
    await isBack(page, "truncated", "SmolLM2");
    await page.choose("::-p-aria(Choose another file)", OWN);
    await page.tab.waitForFunction(() =>
      document.querySelector('a.model[data-phase="ready"]')?.textContent.includes("own.gguf"),
    );
    assert.equal(await page.tab.$("[data-code]"), null);
  });
});

describe("the app where there is little memory: a model works, another has no room", () => {
  let page, close;
  before(
    async () =>
      ({ page, close } = await openApp("chromium without WebGPU", {
        args: ["--js-flags=--wasm-max-mem-pages=1300"],
      })),
  );
  after(() => close?.());

  it("has it again, and offers the context with which the other has room", async () => {
    await open(page, OWN);
    await page.loaded();
    await page.go("models");
    await page.begin(OFFER);
    await isBack(page, "out-of-memory", "own.gguf");
    await page.go("models");
    await page.tab.click("[data-code] .button");
    await page.loaded();
    assert.match(await page.tab.$eval("a.model", ({ textContent }) => textContent), /SmolLM2/);
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });
});
