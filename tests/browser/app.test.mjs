// The chat app in real browsers, as a person uses it: first run, conversations, what leaves the
// page. Each browser goes on where it was: the lines of one visit.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  askAnew,
  ENDLESS,
  exported,
  file,
  folder,
  HOSTILE,
  importFile,
  inOneLine,
  OFFER,
  openApp,
  POEM,
  SKY,
  text,
} from "./app.mjs";
import { ANSWERS, MODEL } from "./setting.mjs";

const BROWSERS = ["chromium without WebGPU", "firefox"];

for (const kind of BROWSERS) {
  describe(`the app in ${kind}`, () => {
    let site, page, close;
    before(async () => ({ site, page, close } = await openApp(kind)));
    after(() => close?.());

    it("explains itself on the first run and fetches no model by itself", async () => {
      assert.match(page.tab.url(), /#\/welcome$/);
      const words = await page.tab.$eval("main", (main) => main.textContent);
      assert.match(words, /Download 2\.5.GB/);
      assert.match(words, /Nothing you type leaves this device/);
      assert.deepEqual(
        page.requests.filter((address) => address.includes("/models/")),
        [],
      );
    });

    it("asks about mobile data before it downloads, and takes no for an answer", async () => {
      await page.tab.click(`[data-offer="${OFFER}"]`);
      await page.tab.waitForSelector("dialog[open]");
      assert.match(
        await page.tab.$eval("dialog[open]", (dialog) => dialog.textContent),
        /98.MB.*mobile data/s,
      );
      await page.tab.keyboard.press("Escape");
      await page.tab.waitForSelector("dialog[open]", { hidden: true });
      assert.deepEqual(
        page.requests.filter((address) => address.includes("/models/")),
        [],
      );
    });

    it("loads the small model and says what computes", async () => {
      await page.go("settings");
      await page.tab.select("#compute", "cpu");
      await page.go("welcome");
      await page.load(OFFER);
      await page.tab.waitForSelector("#composer");
      assert.match(
        await page.tab.$eval("a.model", (link) => link.textContent),
        /SmolLM2 135M · CPU/,
      );
    });

    it("answers as the reference does, and asks nobody meanwhile", async () => {
      await page.setUp({ preset: "precise" });
      const before = page.requests.length;
      const answer = await page.ask(SKY.question);
      // The app's own scripts come from the service worker.
      assert.deepEqual(
        page.requests
          .slice(before)
          .filter((address) => !address.startsWith(`${site.address}assets/`)),
        [],
      );
      assert.equal(text(answer), SKY.answer);
      assert.equal(answer.state, "done");
      assert.match(answer.about, /tokens\/s · CPU/);
    });

    it("follows a conversation's own instructions", async () => {
      assert.equal(text(await askAnew(page, POEM)), POEM.answer);
    });

    it("answers again as another version, and shows either", async () => {
      await page.act("assistant", "again");
      const again = await page.answer();
      assert.equal(again.versions, "2/2");
      assert.equal(text(again), POEM.answer);
      await page.press("Earlier version");
      await page.tab.waitForFunction(
        () => document.querySelector(".versions .figures")?.textContent === "1/2",
      );
    });

    it("branches where a question is edited", async () => {
      await page.act("user", "edit");
      await page.tab.waitForSelector("article.user textarea");
      await page.tab.$eval("article.user textarea", (field) => field.select());
      await page.tab.type("article.user textarea", "Write about a cat.");
      await page.tab.click("article.user button[type=submit]");
      await page.tab.waitForFunction(
        (other) =>
          (document.querySelector("article.assistant .markdown")?.textContent.trim() || other) !==
          other,
        {},
        POEM.answer,
      );
      await page.stop();
      await page.answer();
      const [question] = await page.messages();
      assert.equal(question.text, "Write about a cat.");
      assert.equal(question.versions, "2/2");
      await page.press("Earlier version");
      await page.tab.waitForFunction(
        (question) => document.querySelector("article.user .bubble").textContent === question,
        {},
        POEM.question,
      );
      assert.equal(text((await page.messages()).at(-1)), POEM.answer);
    });

    it("stops, and goes on from there", async () => {
      await page.go("chat");
      await page.setUp({ preset: "precise", instructions: "" });
      await page.say(ENDLESS.question);
      await page.tab.waitForFunction(
        () => (document.querySelector("article.assistant .markdown")?.textContent.length ?? 0) > 20,
      );
      await page.tab.keyboard.press("Escape");
      const stopped = await page.answer();
      assert.equal(stopped.state, "stopped");
      await page.act("assistant", "continue");
      await page.tab.waitForFunction(
        (length) =>
          document.querySelector("article.assistant .markdown").textContent.length > length,
        {},
        stopped.text.length,
      );
      await page.stop();
      const more = await page.answer();
      assert.ok(
        inOneLine(more.text).startsWith(inOneLine(stopped.text)),
        `${more.text} does not go on with ${stopped.text}`,
      );
    });

    it("finds a conversation by words of an answer", async () => {
      await page.tab.type(
        "#search",
        SKY.answer
          .match(/\w{3,}/g)
          .reverse()
          .join(" "),
      );
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 1);
      assert.deepEqual(await page.titles(), [SKY.question]);
      await page.tab.$eval("#search", (field) => {
        field.value = "";
        field.dispatchEvent(new Event("input", { bubbles: true }));
      });
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 3);
    });

    it("throws a conversation away and brings it back", async () => {
      const titles = await page.titles();
      const gone = page.tab.waitForFunction(
        () => document.querySelectorAll("nav .title").length === 2,
      );
      await page.told("Conversation deleted", () => page.menu(SKY.question, "Delete"), "Undo");
      await gone;
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 3);
      assert.deepEqual(await page.titles(), titles);
    });

    it("renames a conversation", async () => {
      await page.menu(SKY.question, "Rename");
      await page.tab.waitForSelector("nav input");
      await page.tab.$eval("nav input", (field) => field.select());
      await page.tab.keyboard.type("Why blue");
      await page.tab.keyboard.press("Enter");
      await page.tab.waitForFunction(() =>
        [...document.querySelectorAll("nav .title")].some(
          ({ textContent }) => textContent === "Why blue",
        ),
      );
    });

    it("exports all conversations and takes them back in", async () => {
      await page.go("settings");
      const json = await page.saved("#export");
      const { conversations } = JSON.parse(json);
      assert.equal(conversations.length, 3);
      await importFile(page, file("back.json", json));
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 6);
    });

    it("says what is wrong with a file that it cannot take", async () => {
      await page.told("holds no conversations", () => importFile(page, file("other.json", "{}")));
      assert.equal((await page.titles()).length, 6);
    });

    it("shows pictures of an answer as text, and runs nothing that it says", async () => {
      await importFile(page, file("hostile.json", exported("Hostile", "Show me a cat", HOSTILE)));
      await page.openChat("Hostile");
      await page.tab.waitForSelector("article.assistant .code .hljs-keyword");
      const shown = await page.tab.$eval("article.assistant .markdown", (markdown) => ({
        text: markdown.textContent,
        foreign: markdown.querySelectorAll("img, script, iframe, [onerror], [style]").length,
        links: [...markdown.querySelectorAll("a[href]")].map(({ href, rel }) => [href, rel]),
      }));
      assert.match(shown.text, /of a cat \(https:\/\/pictures\.invalid\/cat\.png\?secret=1\)/);
      assert.match(shown.text, /<script>document\.title = 'owned'<\/script>/);
      assert.match(shown.text, /\/\/ <b>not bold<\/b>/);
      assert.equal(shown.foreign, 0);
      assert.deepEqual(shown.links, [["https://pictures.invalid/page", "noopener noreferrer"]]);
      assert.doesNotMatch(await page.tab.title(), /owned/);
    });

    it("makes a document of a long paste, and of nothing else", async () => {
      await page.go("chat");
      await page.paste("#question", "A short text.");
      assert.equal(await page.tab.$("#composer li"), null);
      await page.paste("#question", "A long text. ".repeat(200));
      await page.tab.waitForSelector("#composer li");
      assert.match(await page.tab.$eval("#composer li", (item) => item.textContent), /Pasted text/);
    });

    it("says when documents are too long for the model, and takes their beginning", async () => {
      await page.paste("#question", "Many words, all alike, one after the other. ".repeat(2000));
      await page.tab.waitForSelector(".too-long");
      assert.equal(await page.tab.$("#send:not([disabled])"), null);
      await page.tab.click(".too-long .button");
      await page.tab.waitForSelector(".too-long", { hidden: true });
      await page.tab.waitForSelector("#send:not([disabled])");
    });

    it("keeps what was typed and not sent, and all conversations, over a reload", async () => {
      await page.tab.$eval("#question", (field) => (field.value = ""));
      await page.tab.type("#question", "Not sent yet");
      const titles = await page.titles();
      await page.draftKept();
      await page.reload();
      await page.tab.waitForSelector("#composer li");
      assert.equal(await page.tab.$eval("#question", (field) => field.value), "Not sent yet");
      assert.deepEqual(await page.titles(), titles);
      await page.openChat("Why blue");
      await page.tab.waitForSelector("article.assistant");
      assert.equal(text((await page.messages()).at(-1)), SKY.answer);
    });

    it("marks an answer whose tab was killed, and offers to go on", async () => {
      await importFile(
        page,
        file("killed.json", exported("Killed", "Tell me a story", "Once upon a time", "writing")),
      );
      await page.openChat("Killed");
      await page.tab.waitForSelector('article[data-state="interrupted"] [data-action="continue"]');
      assert.match(
        await page.tab.$eval("article.assistant", (article) => article.textContent),
        /The app was closed while this was written/,
      );
    });

    it("asked nobody but its own site in all this", () => {
      const own = new URL(site.address).origin;
      const others = page.requests.filter(
        (address) => /^(https?|wss?):/.test(address) && new URL(address).origin !== own,
      );
      assert.deepEqual(others, []);
      assert.ok(page.requests.length > 10, "requests were recorded");
    });

    it("answers with the server gone", async () => {
      await page.loaded();
      await page.offlineReady();
      site.server.closeAllConnections();
      await new Promise((resolve) => site.server.close(resolve));
      await page.reload();
      await page.loaded();
      await page.go("chat");
      await page.tab.waitForSelector("#composer li");
      await page.clearDraft();
      await page.setUp({ preset: "precise" });
      assert.equal(text(await page.ask(SKY.question)), SKY.answer);
    });

    it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
  });
}

describe("the app with the small model that it offers", () => {
  let page, close;
  before(
    async () =>
      ({ page, close } = await openApp("chromium without WebGPU", {}, { models: dirname(MODEL) })),
  );
  after(() => close?.());

  it("keeps it, and answers as the reference does", async () => {
    await page.load(OFFER);
    for (const { messages, answer } of ANSWERS) {
      const [{ content: question }, system] = messages.toReversed();
      assert.equal(text(await askAnew(page, { instructions: system?.content, question })), answer);
    }
    await page.go("models");
    await page.tab.waitForSelector("[data-model]");
    assert.deepEqual(page.complaints, []);
  });
});

describe("the app in webkit, the poorest browser", () => {
  let site, page, close;
  before(async () => ({ site, page, close } = await openApp("webkit")));
  after(() => close?.());

  it("loads the small model, keeps it in the database, and answers", async () => {
    await page.load(OFFER);
    const answer = await askAnew(page, SKY);
    assert.equal(text(answer), SKY.answer);
    assert.match(answer.about, /CPU, SIMD128, 1 thread$/);
    await page.go("models");
    await page.tab.waitForFunction(
      () =>
        document.querySelector("[data-model]") &&
        document.querySelector("main").textContent.includes("Models lie in the browser’s database"),
    );
  });

  it("answers with the server gone", async () => {
    await page.offlineReady();
    site.server.closeAllConnections();
    await new Promise((resolve) => site.server.close(resolve));
    await page.reload();
    await page.loaded();
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
    assert.equal((await page.titles()).length, 2);
  });
});

for (const kind of ["chromium", "firefox"]) {
  describe(`the app in a ${kind} that keeps nothing for it`, () => {
    let page, close;
    before(async () => {
      // What users choose who block what sites store.
      const userDataDir = mkdtempSync(join(folder, "profile-"));
      const chosen = { profile: { default_content_setting_values: { cookies: 2 } } };
      if (kind === "chromium") mkdirSync(join(userDataDir, "Default"));
      if (kind === "chromium")
        writeFileSync(join(userDataDir, "Default/Preferences"), JSON.stringify(chosen));
      const extraPrefsFirefox = { "network.cookie.cookieBehavior": 2, "dom.webgpu.enabled": false };
      ({ page, close } = await openApp(kind === "chromium" ? "chromium without WebGPU" : kind, {
        userDataDir,
        extraPrefsFirefox,
      }));
    });
    after(() => close?.());

    it("says so from the start", async () => {
      assert.match(
        await page.tab.$eval(".nothing-kept", (note) => note.textContent),
        /conversations and models are gone when it is closed/,
      );
    });

    it("answers all the same, and says why the model is not kept", async () => {
      await page.load(OFFER);
      assert.equal(text(await askAnew(page, SKY)), SKY.answer);
      assert.deepEqual(await page.titles(), [SKY.question]);
      await page.go("models");
      assert.match(
        await page.tab.$eval("main", (main) => main.textContent),
        /keeps no model \(opfs: SecurityError: .*; indexeddb: \w+Error: .*\), so it is fetched/,
      );
    });

    it("finds, takes in, throws away and wipes conversations as ever", async () => {
      await importFile(page, file("long.json", exported("Cats", "Of cats", "They purr")));
      await page.tab.type("#search", "purr");
      await page.tab.waitForFunction(
        () =>
          [...document.querySelectorAll("nav .title")]
            .map(({ textContent }) => textContent)
            .join() === "Cats",
      );
      await page.openChat("Cats");
      assert.equal(text((await page.messages()).at(-1)), "They purr");
      await page.wipe();
      assert.deepEqual(await page.titles(), []);
    });

    it("leaves the browser without complaints", () => {
      // Firefox tells pages of the workers that it refuses them, whatever they do with the refusal.
      assert.deepEqual(
        page.complaints.filter((complaint) => !/ServiceWorker|service worker/.test(complaint)),
        [],
      );
    });
  });
}
