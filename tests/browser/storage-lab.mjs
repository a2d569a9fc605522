// The page on which the storage tests stand, and the server that serves it, clears it and takes
// what it exports.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { launch, openTab } from "../../web/tools/browser.mjs";
import { serve } from "../../web/tools/serve.mjs";
import { until } from "../../web/tools/waiting.mjs";

/** A folder that is removed at the end. */
export function makeFolder(name) {
  const folder = mkdtempSync(join(tmpdir(), `phi-${name}-`));
  return {
    folder,
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }),
  };
}

/**
 * Serves the page; `/clear` clears the site's storage, and what is posted is put into `uploads`.
 */
export async function serveLab() {
  const { server, address } = await serve({ models: tmpdir() });
  const [serveFiles] = server.listeners("request");
  const uploads = [];
  server.removeListener("request", serveFiles).on("request", async (request, response) => {
    if (request.method === "POST") uploads.push(await buffer(request));
    else if (request.url === "/clear") response.setHeader("Clear-Site-Data", '"storage"');
    else return serveFiles(request, response);
    response.writeHead(204).end();
  });
  return {
    address,
    uploads,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A browser with a profile of its own, which can be killed and started again. */
export class Device {
  #profile = makeFolder("profile");

  constructor(kind) {
    this.kind = kind;
  }

  async start(more = {}) {
    this.browser = await launch(this.kind, { ...more, userDataDir: this.#profile.folder });
    return this;
  }

  /** Without a word to anyone, as a phone that runs out of memory. */
  async kill() {
    const { pid } = this.browser.process();
    const gone = new Promise((resolve) => this.browser.process().once("exit", resolve));
    process.kill(-pid, "SIGKILL");
    await gone;
    // Puppeteer puts Firefox's settings back in its own time.
    const borrowed = () =>
      readdirSync(this.#profile.folder).filter((file) => file.endsWith(".puppeteer"));
    await until((files) => files.length === 0, borrowed, "the end of Puppeteer's own settings");
  }

  /** All but the one that it began with; WebKit has no other. */
  async closeTabs() {
    const [, ...tabs] = (await this.browser.pages?.()) ?? [];
    await Promise.all(tabs.map((tab) => tab.close()));
  }

  async end() {
    await this.browser?.close().catch(() => {});
    this.#profile.remove();
  }
}

/** One tab. */
export class Lab {
  static async open(browser, address, ...without) {
    const lab = new Lab();
    lab.tab = await openTab(browser);
    await lab.tab.goto(`${address}lab/storage.html`);
    await lab.start(...without);
    return lab;
  }

  /** A new worker, from which these features are taken. */
  async start(...without) {
    this.without = without;
    await this.ask("start", { without });
  }

  /** The same page anew, from the server. */
  async reload() {
    await this.tab.goto(await this.tab.evaluate(() => location.href));
    await this.start(...this.without);
  }

  begin(command, wishes = {}) {
    return this.tab.evaluate(
      (command, wishes) => void window.lab.begin(command, wishes),
      command,
      wishes,
    );
  }

  /** What a command gives in the end; throws what it threw. */
  async outcome() {
    await this.tab.waitForFunction(() => window.lab.outcome !== undefined, { polling: 20 });
    const { value, error } = await this.tab.evaluate(() => window.lab.outcome);
    if (error) throw Object.assign(new Error(error.message), error);
    return value;
  }

  async ask(command, wishes) {
    await this.begin(command, wishes);
    return this.outcome();
  }

  flushed() {
    return this.tab.evaluate(() => window.lab.flushed);
  }
}
