// The app as a person uses it: choose a model, ask, read, look elsewhere.

import { openTab } from "./browser.mjs";
import { until } from "./waiting.mjs";

/** Where the app keeps conversations. */
const DATABASE = "phi-wasm-chats";

export class AppPage {
  /** What the browser complained of; a healthy page leaves it empty. */
  complaints = [];
  /** Every address that the page, its workers and its service worker asked for. */
  requests = [];

  constructor(tab) {
    this.tab = tab;
  }

  static async open(browser, address, { viewport = { width: 1280, height: 800 } } = {}) {
    const self = new AppPage(await openTab(browser));
    const { tab } = self;
    await tab.setViewport(viewport);
    tab.on(
      "console",
      (message) => message.type() === "error" && self.complaints.push(message.text()),
    );
    tab.on("pageerror", (error) => self.complaints.push(error.message));
    tab.on("request", (request) => self.requests.push(request.url()));
    await tab.goto(address);
    await tab.waitForSelector("main > *");
    return self;
  }

  /** The element with this name among those that can be pressed. */
  async press(name) {
    await this.tab.locator(`::-p-aria(${name})`).click();
  }

  async go(screen, id = "") {
    await this.tab.evaluate((hash) => (location.hash = hash), `#/${screen}${id && `/${id}`}`);
    await this.tab.waitForSelector(
      screen === "chat"
        ? id
          ? "#composer"
          : ".chat.empty #composer"
        : `main[data-screen="${screen}"] .sheet`,
    );
  }

  /**
   * Downloads a model of the list, or loads it if it is here; waits until it is loaded. Throws the
   * app's own sentence.
   */
  async load(offer) {
    await this.begin(offer);
    await this.loaded();
  }

  /** Presses the model's button, and what the question after it asks for. */
  async begin(offer) {
    await this.tab.click(`[data-offer="${offer}"]`);
    const asks = await this.tab.evaluate(
      () =>
        new Promise((resolve) =>
          requestAnimationFrame(() =>
            resolve(document.querySelector("dialog[open] #confirm-download") !== null),
          ),
        ),
    );
    if (asks) await this.tab.click("dialog[open] #confirm-download");
  }

  async loaded() {
    await this.tab.waitForSelector('a.model[data-phase="ready"], [data-code]');
    const problem = await this.problem();
    if (problem) throw Object.assign(new Error(problem.message), { code: problem.code });
  }

  /** What the app says went wrong, or null. */
  problem() {
    return this.tab.evaluate(() => {
      const card = document.querySelector("[data-code]");
      return card && { code: card.dataset.code, message: card.querySelector("p").textContent };
    });
  }

  /** Greedy answers, and instructions for this conversation. */
  async setUp({ preset, instructions }) {
    await this.tab.click("#options");
    if (preset) await this.tab.click(`dialog[open] input[value="${preset}"]`);
    if (instructions !== undefined) {
      await this.tab.$eval("dialog[open] #instructions", (field) => (field.value = ""));
      await this.tab.type("dialog[open] #instructions", instructions);
    }
    await this.tab.keyboard.press("Escape");
    await this.tab.waitForSelector("dialog[open]", { hidden: true });
  }

  /** Empties the field and takes its documents away. */
  async clearDraft() {
    await this.tab.$$eval("#composer li button", (buttons) => {
      for (const button of buttons) button.click();
    });
    await this.tab.$eval("#question", (field) => {
      field.value = "";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  /** Types a question and sends it. */
  async say(question) {
    await this.tab.type("#question", question);
    await this.tab.waitForSelector("#send:not([disabled])");
    await this.tab.click("#send");
  }

  /** Waits until no answer is under way; the last answer. */
  async answer() {
    await this.tab.waitForFunction(() => {
      const last = [...document.querySelectorAll("article")].at(-1);
      return (
        last?.matches(".assistant") &&
        last.dataset.state !== "writing" &&
        !document.querySelector("#stop")
      );
    });
    return (await this.messages()).at(-1);
  }

  /** Presses Stop, unless the answer has ended just now. */
  stop() {
    return this.tab.evaluate(() => document.querySelector("#stop")?.click());
  }

  async ask(question) {
    await this.say(question);
    return this.answer();
  }

  /** What is shown of the conversation. */
  messages() {
    return this.tab.$$eval("article", (articles) =>
      articles.map((article) => ({
        role: article.classList[0],
        state: article.dataset.state,
        text:
          (article.querySelector(".bubble") ?? article.querySelector(".markdown"))?.textContent ??
          "",
        versions: article.querySelector(".versions .figures")?.textContent ?? "1/1",
        about: article.querySelector(".about")?.textContent ?? "",
      })),
    );
  }

  /** Presses a button of the last message of a role: copy, edit, again, continue. */
  async act(role, action) {
    const handles = await this.tab.$$(`article.${role} [data-action="${action}"]`);
    await handles.at(-1).evaluate((button) => button.click());
  }

  /** The titles in the list of conversations. */
  titles() {
    return this.tab.$$eval("nav .title", (titles) => titles.map(({ textContent }) => textContent));
  }

  async openChat(title) {
    if (await this.tab.$("#menu")) await this.tab.click("#menu");
    await this.tab.waitForFunction(
      (title) =>
        [...document.querySelectorAll("nav .title")].some(
          ({ textContent }) => textContent === title,
        ),
      {},
      title,
    );
    await this.tab.$$eval(
      "nav a",
      (links, title) =>
        links.find((link) => link.querySelector(".title")?.textContent === title).click(),
      title,
    );
    await this.tab.waitForFunction((title) => document.title.startsWith(title), {}, title);
    await this.tab.waitForSelector("#composer");
  }

  /** Chooses something from the menu of a conversation in the list. */
  async menu(title, entry) {
    await this.tab.$$eval(
      "nav li",
      (items, title) =>
        items
          .find((item) => item.querySelector(".title")?.textContent === title)
          .querySelector("[popovertarget]")
          .click(),
      title,
    );
    await this.tab.waitForSelector(":popover-open");
    await this.tab.$$eval(
      ":popover-open button",
      (buttons, entry) => buttons.find(({ textContent }) => textContent === entry).click(),
      entry,
    );
  }

  /**
   * Does what has the app say something at its edge, where it does not stay; resolves once it was
   * there, and presses its button, if one is named.
   */
  async told(words, act, button) {
    const press = (words, button) => {
      const toast = [...document.querySelectorAll(".toast")].find(({ textContent }) =>
        textContent.includes(words),
      );
      const pressed =
        toast &&
        [...toast.querySelectorAll("button")].find(({ textContent }) => textContent === button);
      pressed?.click();
      return Boolean(toast && (pressed || !button));
    };
    await Promise.all([this.tab.waitForFunction(press, {}, words, button), act()]);
  }

  /** Presses a button that asks for files, and gives it these. */
  async choose(selector, ...paths) {
    // Without a screen some browsers cancel the chooser at once: none is opened.
    await this.tab.evaluate(() => (HTMLInputElement.prototype.click = () => {}));
    // By its place it would be missed where something moves it in between.
    const button = await this.tab.waitForSelector(selector);
    await this.tab.waitForFunction((button) => !button.disabled, {}, button);
    await button.evaluate((button) => button.click());
    const input = await this.tab.waitForSelector('body > input[type="file"]');
    await input.uploadFile(...paths);
  }

  /** Presses a button that saves a text; the text. */
  async saved(selector) {
    await this.tab.evaluate(() => {
      const make = URL.createObjectURL;
      globalThis.savedText = new Promise((resolve) => {
        URL.createObjectURL = (blob) => {
          URL.createObjectURL = make;
          resolve(blob.text());
          return make.call(URL, blob);
        };
      });
    });
    await this.tab.click(selector);
    return this.tab.evaluate(() => globalThis.savedText);
  }

  /** As if from the clipboard. */
  async paste(selector, text) {
    await this.tab.$eval(
      selector,
      (field, text) => {
        const event = new ClipboardEvent("paste", { bubbles: true, cancelable: true });
        // Firefox lets no script fill one.
        Object.defineProperty(event, "clipboardData", {
          value: { files: [], getData: () => text },
        });
        field.dispatchEvent(event);
      },
      text,
    );
  }

  /** Resolves once the draft on disk is what the field holds. */
  async draftKept() {
    await this.#kept("drafts", "text", {
      text: await this.tab.$eval("#question", (field) => field.value),
    });
  }

  /** Resolves once an answer of this state is on disk, with words in it; the words. */
  async keptAnswer(state) {
    return (await this.#kept("messages", "content", { role: "assistant", state })).content;
  }

  /**
   * Waits in the app's database for something that has words in a field, and that is like an
   * example.
   */
  async #kept(store, field, example) {
    const isIt = (one) =>
      one[field].trim() !== "" && Object.keys(example).every((name) => one[name] === example[name]);
    return until(
      Boolean,
      async () => (await this.kept())?.[store].find(isIt),
      `something like ${JSON.stringify(example)} in the app's ${store}`,
    );
  }

  /** Everything in the app's database, by store; null if there is none. */
  kept() {
    return this.tab.evaluate(async (name) => {
      if (!(await indexedDB.databases()).some((database) => database.name === name)) return null;
      const outcome = (request) =>
        new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
      const database = await outcome(indexedDB.open(name));
      const stores = [...database.objectStoreNames];
      const transaction = database.transaction(stores);
      const all = await Promise.all(
        stores.map(async (store) => [
          store,
          await outcome(transaction.objectStore(store).getAll()),
        ]),
      );
      database.close();
      return Object.fromEntries(all);
    }, DATABASE);
  }

  /** Has drafts that the app reads not come until they are released, as from a slow disk. */
  holdDrafts() {
    return this.tab.evaluate(() => {
      const { get } = IDBObjectStore.prototype;
      const held = [];
      let isHolding = true;
      IDBObjectStore.prototype.get = function (key) {
        const request = get.call(this, key);
        const hold = (event) => isHolding && held.push(request) && event.stopImmediatePropagation();
        if (this.name === "drafts") request.addEventListener("success", hold);
        return request;
      };
      globalThis.releaseDrafts = () => {
        isHolding = false;
        IDBObjectStore.prototype.get = get;
        for (const request of held) request.dispatchEvent(new Event("success"));
      };
    });
  }

  releaseDrafts() {
    return this.tab.evaluate(() => globalThis.releaseDrafts());
  }

  /** Removes the app's database under it. */
  removeDatabase() {
    return this.tab.evaluate(
      (name) =>
        new Promise((resolve) => (indexedDB.deleteDatabase(name).onsuccess = () => resolve())),
      DATABASE,
    );
  }

  /** Deletes everything that the app has kept. */
  async wipe() {
    await this.go("privacy");
    await this.tab.locator("#wipe").click();
    await this.tab.waitForSelector("dialog[open]");
    await Promise.all([this.tab.waitForNavigation(), this.tab.click("#confirm-wipe")]);
    await this.tab.waitForSelector('main[data-screen="welcome"]');
  }

  async reload() {
    await this.tab.reload();
    await this.tab.waitForSelector("main > *");
  }

  /** Resolves once the app says that it opens without a network. */
  async offlineReady() {
    await this.go("settings");
    await this.tab.waitForFunction(() =>
      document.querySelector("main").textContent.includes("opens without a network."),
    );
  }
}
