// WebKitGTK's MiniBrowser, driven by WebDriver on a screen that nobody sees, behind as much of
// Puppeteer's face as our pages' drivers use.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { Builder, By, Key } from "selenium-webdriver";
import { LONGEST, until } from "./waiting.mjs";

/** Starts it; `close` ends it and all that it stands on. */
export async function launchWebKit() {
  const screen = await start(
    "Xvfb",
    ["-displayfd", "1", "-nolisten", "tcp"],
    ["ignore", "pipe", "inherit"],
  );
  let driver, session;
  const close = async () => {
    await session?.quit().catch(() => {});
    driver?.kill();
    screen.kill();
  };
  try {
    const [display] = await once(screen.stdout, "data");
    const port = await freePort();
    driver = await start("WebKitWebDriver", [`--port=${port}`], "inherit", {
      DISPLAY: `:${String(display).trim()}`,
    });
    await listening(driver, port);
    session = await new Builder()
      .usingServer(`http://127.0.0.1:${port}`)
      .withCapabilities({ browserName: "MiniBrowser" })
      .build();
    await session.manage().setTimeouts({ pageLoad: LONGEST, script: LONGEST });
  } catch (error) {
    await close();
    throw error;
  }
  return { newPage: async () => new Tab(session), close };
}

/** A program that is running; throws a sentence when it is not there. */
async function start(program, args, stdio, environment = {}) {
  const child = spawn(program, args, { stdio, env: { ...process.env, ...environment } });
  try {
    await once(child, "spawn");
  } catch (error) {
    throw new Error(
      `${program} does not start (${error.message}): \`cargo xtask setup\` installs it`,
    );
  }
  return child;
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await once(server.close(), "close");
  return port;
}

/** Resolves once the driver answers; it does not say so by itself. */
function listening(driver, port) {
  const answers = () => {
    if (driver.exitCode !== null)
      throw new Error(
        `WebKitWebDriver ended (${driver.exitCode}) before it answered on port ${port}`,
      );
    return fetch(`http://127.0.0.1:${port}/status`).then(
      ({ ok }) => ok,
      () => false,
    );
  };
  return until(Boolean, answers, "an answer of WebKitWebDriver");
}

/**
 * The one tab that a session has. Its console and its requests cannot be read, nor can it be closed
 * by itself.
 */
class Tab {
  #session;
  #timeout = LONGEST;
  keyboard = { press: (key) => this.#session.actions().sendKeys(Key[key.toUpperCase()]).perform() };

  constructor(session) {
    this.#session = session;
  }

  setViewport({ width, height }) {
    return this.#session.manage().window().setRect({ width, height });
  }

  setDefaultTimeout(milliseconds) {
    this.#timeout = milliseconds;
  }

  on() {}

  goto(address) {
    return this.#renewed(() => this.#session.get(address));
  }

  async click(selector) {
    await this.#session.findElement(By.css(selector)).click();
  }

  async select(selector, value) {
    await this.click(`${selector} option[value="${value}"]`);
  }

  reload() {
    return this.#renewed(() => this.#session.navigate().refresh());
  }

  /**
   * A busy WebKit says that it has navigated while the page before is still there, or the new one's
   * scripts have not run.
   */
  async #renewed(navigate) {
    await this.evaluate(() => void (window.isOld = true));
    await navigate();
    const isNew = () => !window.isOld && document.readyState === "complete";
    await this.#session.wait(
      () => this.evaluate(isNew).catch(() => false),
      this.#timeout,
      "the page to be there",
    );
  }

  async type(selector, text) {
    await this.#session.findElement(By.css(selector)).sendKeys(text);
  }

  evaluate(run, ...args) {
    return this.#session.executeScript(`return (${run})(...arguments)`, ...args);
  }

  $eval(selector, run, ...args) {
    return this.#session.executeScript(
      "const [selector, ...rest] = arguments; return " +
        `(${run})(document.querySelector(selector), ...rest)`,
      selector,
      ...args,
    );
  }

  $$eval(selector, run, ...args) {
    return this.#session.executeScript(
      "const [selector, ...rest] = arguments; return " +
        `(${run})([...document.querySelectorAll(selector)], ...rest)`,
      selector,
      ...args,
    );
  }

  waitForSelector(selector, { hidden = false, timeout = this.#timeout } = {}) {
    const isThere = (selector) => document.querySelector(selector) !== null;
    return this.#session.wait(
      () => this.evaluate(isThere, selector).then((there) => there !== hidden),
      timeout,
      selector,
    );
  }

  waitForFunction(run, _options, ...args) {
    return this.#session.wait(
      () => this.evaluate(run, ...args).then(Boolean),
      this.#timeout,
      String(run),
    );
  }
}
