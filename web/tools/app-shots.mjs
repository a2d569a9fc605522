// Takes pictures of the app with a real model, at a phone's and a computer's size, into
// web/app/screenshots.
//
//   node app-shots.mjs MODELS_FOLDER

import { fileURLToPath } from "node:url";
import { AppPage } from "./app-page.mjs";
import { launch } from "./browser.mjs";
import { serve } from "./serve.mjs";

const FOLDER = new URL("../app/screenshots/", import.meta.url);
const SIZES = {
  phone: { width: 390, height: 844, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  desktop: { width: 1280, height: 800 },
};
const QUESTIONS = ["What is the capital of France?", "Give me three tips for a good e-mail."];

const { server, address } = await serve({ models: process.argv[2] });
const browser = await launch("chromium without WebGPU");

async function shoot(page, size, name) {
  // Fonts, fades and the last block of an answer settle.
  await page.tab.evaluate(() =>
    Promise.all([
      document.fonts.ready,
      ...document.getAnimations().map(({ finished }) => finished.catch(() => {})),
    ]),
  );
  await page.tab.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
  );
  await page.tab.screenshot({ path: fileURLToPath(new URL(`${size}-${name}.png`, FOLDER)) });
}

async function theme(page, name) {
  await page.go("settings");
  await page.tab.select("#theme", name);
}

/** The first run, and all that comes after it. */
async function tour(size) {
  const context = await browser.createBrowserContext();
  const page = await AppPage.open(context, address, { viewport: SIZES[size] });
  await theme(page, "light");
  await page.go("welcome");
  await shoot(page, size, "welcome");
  await page.tab.click('[data-offer="smollm2-135m"]');
  await page.tab.waitForSelector("dialog[open]");
  await shoot(page, size, "question");
  await page.tab.click("#confirm-download");
  await page.tab.waitForFunction(
    () => document.querySelector("#loading progress")?.value > 20_000_000,
  );
  await shoot(page, size, "download");
  await page.loaded();
  await page.go("chat");
  await shoot(page, size, "start");
  await page.setUp({ preset: "precise", instructions: "" });
  for (const question of QUESTIONS) {
    await page.say(question);
    await page.answer();
  }
  await shoot(page, size, "chat");
  await page.tab.click("#options");
  await page.tab.waitForSelector("dialog[open]");
  await shoot(page, size, "options");
  await page.tab.keyboard.press("Escape");
  const conversation = await page.tab.evaluate(() => location.hash.split("/")[2]);
  await theme(page, "dark");
  await shoot(page, size, "settings-dark");
  await page.go("chat", conversation);
  await shoot(page, size, "chat-dark");
  if (size === "phone") {
    await page.tab.click("#menu");
    await page.tab.waitForSelector("aside.drawer");
    await shoot(page, size, "drawer-dark");
    await page.tab.keyboard.press("Escape");
  }
  await theme(page, "light");
  for (const screen of ["models", "privacy"]) {
    await page.go(screen);
    await shoot(page, size, screen);
  }
  await context.close();
}

try {
  for (const size of Object.keys(SIZES)) await tour(size);
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
