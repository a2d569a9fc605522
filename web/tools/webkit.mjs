// WebKitGTK's MiniBrowser, driven by WebDriver on a screen that nobody sees, behind as much of Puppeteer's face as page.mjs uses.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { Builder, By } from "selenium-webdriver";

/** Starts it; `close` ends it and all that it stands on. */
export async function launchWebKit() {
  const screen = await start("Xvfb", ["-displayfd", "1", "-nolisten", "tcp"], ["ignore", "pipe", "inherit"]);
  let driver, session;
  const close = async () => {
    await session?.quit().catch(() => {});
    driver?.kill();
    screen.kill();
  };
  try {
    const [display] = await once(screen.stdout, "data");
    const port = await freePort();
    driver = await start("WebKitWebDriver", [`--port=${port}`], "inherit", { DISPLAY: `:${String(display).trim()}` });
    await listening(port);
    session = await new Builder().usingServer(`http://127.0.0.1:${port}`).withCapabilities({ browserName: "MiniBrowser" }).build();
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
    throw new Error(`${program} does not start (${error.message}): \`cargo xtask setup\` installs it`);
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

async function listening(port) {
  for (let tries = 0; tries < 100; tries++) {
    const there = await fetch(`http://127.0.0.1:${port}/status`).then(
      () => true,
      () => false,
    );
    if (there) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`WebKitWebDriver does not answer on port ${port}`);
}

/** The one tab that a session has. Its console cannot be read. */
class Tab {
  #session;
  #timeout = 30_000;

  constructor(session) {
    this.#session = session;
  }

  setDefaultTimeout(milliseconds) {
    this.#timeout = milliseconds;
  }

  on() {}

  goto(address) {
    return this.#session.get(address);
  }

  async click(selector) {
    await this.#session.findElement(By.css(selector)).click();
  }

  async type(selector, text) {
    await this.#session.findElement(By.css(selector)).sendKeys(text);
  }

  evaluate(run, ...args) {
    return this.#session.executeScript(`return (${run})(...arguments)`, ...args);
  }

  $eval(selector, run, ...args) {
    return this.#session.executeScript(`const [selector, ...rest] = arguments; return (${run})(document.querySelector(selector), ...rest)`, selector, ...args);
  }

  $$eval(selector, run) {
    return this.#session.executeScript(`return (${run})([...document.querySelectorAll(arguments[0])])`, selector);
  }

  waitForSelector(selector) {
    return this.#session.wait(() => this.evaluate((selector) => document.querySelector(selector) !== null, selector), this.#timeout);
  }

  waitForFunction(run) {
    return this.#session.wait(() => this.evaluate(run).then(Boolean), this.#timeout);
  }
}
