// The page as a person uses it: load, ask, stop, read.

import { openTab } from "./browser.mjs";

export class Page {
  /** What the browser complained of; a healthy page leaves it empty. */
  complaints = [];

  static async open(browser, address, wishes = {}) {
    const self = new Page();
    self.tab = await openTab(browser);
    self.tab.on(
      "console",
      (message) => message.type() === "error" && self.complaints.push(message.text()),
    );
    self.tab.on("pageerror", (error) => self.complaints.push(error.message));
    const url = new URL(address);
    for (const [name, value] of Object.entries(wishes))
      if (value) url.searchParams.set(name, value);
    await self.tab.goto(url.href);
    return self;
  }

  /** Presses Load and waits; throws the page's own sentence when it shows one. */
  async load() {
    await this.tab.click("#load");
    return this.loaded();
  }

  /** Opens files of this machine and waits, likewise. */
  async openFiles(...files) {
    const input = await this.tab.$("#files");
    await input.uploadFile(...files);
    return this.loaded();
  }

  async loaded() {
    await this.tab.waitForSelector("#composer:not([hidden]), #error:not([hidden])");
    await this.throwError();
    return this.tab.$$eval("#name, #facts, #notice:not([hidden])", (lines) =>
      lines.map((line) => line.textContent),
    );
  }

  /** What the page says it computes on: "gpu" or "cpu". */
  device() {
    return this.tab.$eval("#loaded", (card) => card.dataset.device);
  }

  /** A new conversation, with a system message unless it is empty. */
  async startOver(instructions) {
    await this.tab.$eval("#composer details", (details) => (details.open = true));
    await this.tab.$eval("#instructions", (input, text) => (input.value = text), instructions);
    await this.tab.click("#forget");
  }

  /** Types a question and presses Ask. */
  async begin(question) {
    await this.tab.type("#question", question);
    await this.tab.click("#ask");
  }

  /** Waits for the answer that was begun: its text and its figures. */
  async finish() {
    await this.tab.waitForFunction(
      () =>
        document.querySelector("article.answer:last-of-type[data-stats]") ||
        document.querySelector("#error:not([hidden])"),
    );
    await this.throwError();
    return this.tab.$eval("article.answer:last-of-type", (article) => ({
      text: article.querySelector("div").textContent,
      figures: article.querySelector(".figures").textContent,
      notes: [...article.querySelectorAll(".note")].map((line) => line.textContent),
      stats: JSON.parse(article.dataset.stats),
    }));
  }

  async ask(question) {
    await this.begin(question);
    return this.finish();
  }

  /** The error that the page shows, or null. */
  error() {
    return this.tab.$eval("#error", (line) =>
      line.hidden ? null : { code: line.dataset.code, message: line.textContent },
    );
  }

  async throwError() {
    const error = await this.error();
    if (error) throw Object.assign(new Error(error.message), { code: error.code });
  }
}
