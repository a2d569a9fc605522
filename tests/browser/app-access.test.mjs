// The chat app for those who do not use a mouse, do not see, or do not read English.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, it } from "node:test";
import { exported, file, HOSTILE, importFile, openApp, SKY } from "./app.mjs";

const AXE = readFileSync(
  createRequire(new URL("../../web/tools/package.json", import.meta.url)).resolve(
    "axe-core/axe.min.js",
  ),
  "utf8",
);
const PHONE = { width: 390, height: 844 };

describe("the app for those who do not use a mouse or do not see", () => {
  let page, close;
  before(async () => ({ page, close } = await openApp("chromium without WebGPU")));
  after(() => close?.());

  /**
   * What axe finds against the page once nothing moves any more: on the way from one theme to the
   * other no colour is anyone's.
   */
  async function violations() {
    await page.tab.evaluate(AXE);
    await page.tab.evaluate(async () => {
      const ending = document
        .getAnimations()
        .filter(({ effect }) => effect.getComputedTiming().endTime !== Infinity);
      await Promise.allSettled(ending.map(({ finished }) => finished));
    });
    const { violations } = await page.tab.evaluate(() =>
      globalThis.axe.run(document, { resultTypes: ["violations"] }),
    );
    return violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .map(({ html, failureSummary }) => `${html} ${failureSummary}`)
          .join(" | ")}`,
    );
  }

  const SCREENS = ["welcome", "chat", "models", "settings", "privacy"];

  it("has something to look at", async () => {
    await importFile(
      page,
      file(
        "shown.json",
        exported(
          "Shown",
          "Show me code",
          `${HOSTILE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. one\n2. two\n\n- [x] ` +
            `done\n\n\\[ ${"x + ".repeat(60)}y \\]`,
        ),
      ),
    );
    await page.tab.waitForSelector("nav .title");
  });

  for (const theme of ["light", "dark"]) {
    for (const [shape, viewport] of Object.entries({
      phone: PHONE,
      desktop: { width: 1280, height: 800 },
    })) {
      it(`gives axe nothing to find, ${theme}, on a ${shape}`, async () => {
        await page.go("settings");
        await page.tab.select("#theme", theme);
        await page.tab.setViewport(viewport);
        const found = {};
        const look = async (name) => {
          const now = await violations();
          if (now.length > 0) found[name] = now;
        };
        for (const screen of SCREENS) {
          await page.go(screen);
          await look(screen);
        }
        await page.openChat("Shown");
        await page.tab.waitForSelector("article.assistant .code .hljs-keyword");
        await page.tab.waitForSelector("article.assistant math");
        await look("a conversation");
        await page.tab.click("#options");
        await page.tab.waitForSelector("dialog[open]");
        await page.tab.$eval("dialog[open] details", (details) => (details.open = true));
        await look("options");
        await page.tab.keyboard.press("Escape");
        if (shape === "phone") {
          await page.tab.click("#menu");
          await page.tab.waitForSelector("aside.drawer");
          await look("the drawer");
          await page.tab.keyboard.press("Escape");
        }
        assert.deepEqual(found, {});
      });
    }
  }

  it("says what a screen reader needs, and reads no answer out token by token", async () => {
    const parts = await page.tab.evaluate(() => ({
      log: document.querySelector('[role="log"]').getAttribute("aria-live"),
      status: document.querySelector("#status").getAttribute("role"),
      articles: [...document.querySelectorAll("article")].map((article) =>
        article.getAttribute("aria-label"),
      ),
      lang: document.documentElement.lang,
    }));
    assert.deepEqual(parts, {
      log: "off",
      status: "status",
      articles: ["You", "The model"],
      lang: "en",
    });
  });

  it("speaks German to those who want it", async () => {
    await page.go("settings");
    await page.tab.select("#language", "de");
    // The words come in a script of their own.
    await page.tab.waitForFunction(
      () =>
        document.querySelector("h1").textContent === "Einstellungen" &&
        document.documentElement.lang === "de",
    );
    await page.tab.select("#language", "en");
    await page.tab.waitForFunction(() => document.querySelector("h1").textContent === "Settings");
  });

  it("can be walked through by the keyboard alone", async () => {
    await page.tab.setViewport({ width: 1280, height: 800 });
    await page.go("welcome");
    await page.reload();
    const focused = () =>
      page.tab.evaluate(
        () => document.activeElement?.textContent.trim() || document.activeElement?.id,
      );
    const walkTo = async (wanted) => {
      const seen = [];
      for (let presses = 0; presses < 60; presses++) {
        await page.tab.keyboard.press("Tab");
        seen.push(await focused());
        if (seen.at(-1).startsWith(wanted)) return;
      }
      assert.fail(`${wanted} was not reached: ${seen.join(" → ")}`);
    };
    await walkTo("Skip");
    await walkTo("New conversation");
    await walkTo("Download 98");
    await page.tab.keyboard.press("Enter");
    await page.tab.waitForSelector("dialog[open]");
    await walkTo("Download");
    await page.tab.keyboard.press("Enter");
    await page.loaded();
    await page.tab.waitForFunction(() => document.activeElement?.id === "question");
    await page.tab.keyboard.type(SKY.question);
    await page.tab.keyboard.press("Enter");
    await page.tab.waitForFunction(
      () => document.querySelector("article.assistant .markdown")?.textContent.length > 0,
    );
    await page.tab.keyboard.press("Escape");
    assert.match((await page.answer()).state, /^(stopped|done)$/);
    await page.tab.keyboard.down("Control");
    await page.tab.keyboard.press("k");
    await page.tab.keyboard.up("Control");
    await page.tab.waitForFunction(() => document.activeElement?.id === "search");
    await page.tab.keyboard.type("show me");
    await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 1);
    await walkTo("Shown");
    await page.tab.keyboard.press("Enter");
    await page.tab.waitForFunction(
      () => document.querySelector("article.user .bubble")?.textContent === "Show me code",
    );
    await page.tab.evaluate(() => document.activeElement.blur());
    await page.tab.keyboard.press("?");
    await page.tab.waitForSelector("dialog[open] kbd");
    await page.tab.keyboard.press("Escape");
    await page.tab.waitForSelector("dialog[open]", { hidden: true });
    await page.tab.keyboard.press("/");
    assert.equal(await focused(), "question");
  });
});
