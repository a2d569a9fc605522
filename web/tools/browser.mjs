// Real browsers, with WebGPU on a machine without a GPU: Chromium on SwiftShader, Firefox on Mesa's
// lavapipe. WebKitGTK has none.

import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import puppeteer from "puppeteer-core";
import { LONGEST } from "./waiting.mjs";

/** What the wasm-bindgen tests start Chromium and Firefox with, too. */
const { "goog:chromeOptions": CHROMIUM, "moz:firefoxOptions": FIREFOX } = JSON.parse(
  readFileSync(new URL("../../webdriver.json", import.meta.url), "utf8"),
);

/** Where each browser is looked for; the environment variable wins. */
const NAMES = {
  chromium: {
    variable: "CHROMIUM",
    names: ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"],
  },
  firefox: { variable: "FIREFOX", names: ["firefox-esr", "firefox"] },
};

/** The path of a browser's program; throws a sentence when there is none. */
export function findBrowser(kind) {
  const { variable, names } = NAMES[kind];
  if (process.env[variable]) return process.env[variable];
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find(existsSync);
  if (!found)
    throw new Error(
      `no ${kind} on the PATH (looked for ${names.join(", ")}): install it, or name it in ` +
        `${variable}`,
    );
  return found;
}

/**
 * A headless browser: "chromium" or "firefox" with WebGPU, "chromium without WebGPU", or "webkit".
 * The options are Puppeteer's, for the first three: arguments and preferences join those that make
 * the browser what it is called.
 */
export async function launch(kind, { args = [], extraPrefsFirefox, ...more } = {}) {
  // Its driver is among the packages that only tests need.
  if (kind === "webkit") return (await import("./webkit.mjs")).launchWebKit();
  const common = { headless: true, timeout: LONGEST, protocolTimeout: LONGEST, ...more };
  if (kind === "firefox") {
    const preferences = { ...FIREFOX.prefs, ...extraPrefsFirefox };
    return puppeteer.launch({
      ...common,
      browser: "firefox",
      executablePath: findBrowser(kind),
      args,
      extraPrefsFirefox: preferences,
    });
  }
  const own =
    kind === "chromium" ? CHROMIUM.args : ["--no-sandbox", "--disable-blink-features=WebGPU"];
  return puppeteer.launch({
    ...common,
    executablePath: findBrowser("chromium"),
    args: [...own, ...args],
  });
}

/** A tab in which nothing that is waited for is given up but what hangs. */
export async function openTab(browser) {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(LONGEST);
  return tab;
}
