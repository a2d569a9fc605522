// The chat app in real browsers, as a person uses it: first run, conversations, what leaves the page, keyboard and screen reader.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AppPage } from "../../web/tools/app-page.mjs";
import { launch } from "../../web/tools/browser.mjs";
import { serve } from "../../web/tools/serve.mjs";
import { ANSWERS, MODEL } from "./setting.mjs";

const BROWSERS = ["chromium without WebGPU", "firefox"];
const SMALL = "smollm2-135m";
const [CAPITAL, STORY] = ANSWERS;
const AXE = readFileSync(createRequire(new URL("../../web/package.json", import.meta.url)).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { width: 390, height: 844 };

/** What a model might say to have the page talk to strangers. */
const HOSTILE = [
  "A picture: ![of a cat](https://pictures.invalid/cat.png?secret=1)",
  '<img src="https://pictures.invalid/raw.png" onerror="document.title = \'owned\'">',
  "<script>document.title = 'owned'</script>",
  "[a link](javascript:document.title='owned') and [another](https://pictures.invalid/page)",
  '<iframe src="https://pictures.invalid/frame"></iframe>',
  "```js\nconst x = 1; // <b>not bold</b>\n```",
].join("\n\n");

/** A file as the app exports it, with one conversation. */
function exported(title, question, answer, state = "done") {
  const common = { conversation: "c", attachments: [], created: 1 };
  return {
    format: "phi-wasm-chats",
    version: 1,
    exported: new Date(0).toISOString(),
    conversations: [
      {
        id: "c",
        title,
        created: 1,
        updated: Date.now(),
        instructions: "",
        style: { preset: "precise", temperature: 0, topP: 1, minP: 0, repetitionPenalty: 1, longest: 1024 },
        chosen: {},
        messages: [
          { ...common, id: "q", parent: null, role: "user", content: question, state: "done" },
          { ...common, id: "a", parent: "q", role: "assistant", content: answer, state, created: 2 },
        ],
      },
    ],
  };
}

const text = ({ text }) => text.trim();
/** Shown paragraphs have other blanks between them than Markdown's. */
const inOneLine = (text) => text.trim().split(/\s+/).join(" ");

let folder;
before(() => (folder = mkdtempSync(join(tmpdir(), "phi-app-"))));
after(() => rmSync(folder, { recursive: true }));

/** The app in a browser of its own, from a server of its own. */
async function openApp(kind, more) {
  const site = await serve({ models: dirname(MODEL) });
  let browser;
  const close = async () => {
    await browser?.close();
    site.server.closeAllConnections();
    site.server.close();
  };
  try {
    browser = await launch(kind, more);
    return { site, page: await AppPage.open(browser, site.address), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The path of a file with this content. */
function file(name, content) {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** Gives a file to the app's import. */
async function importFile(page, path) {
  await page.go("settings");
  await page.choose("#import", path);
}

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
      assert.deepEqual(page.requests.filter((address) => address.includes("/models/")), []);
    });

    it("asks about mobile data before it downloads, and takes no for an answer", async () => {
      await page.tab.click(`[data-offer="${SMALL}"]`);
      await page.tab.waitForSelector("dialog[open]");
      assert.match(await page.tab.$eval("dialog[open]", (dialog) => dialog.textContent), /98.MB.*mobile data/s);
      await page.tab.keyboard.press("Escape");
      await page.tab.waitForSelector("dialog[open]", { hidden: true });
      assert.deepEqual(page.requests.filter((address) => address.includes("/models/")), []);
    });

    it("loads the small model and says what computes", async () => {
      await page.go("settings");
      await page.tab.select("#compute", "cpu");
      await page.go("welcome");
      await page.load(SMALL);
      await page.tab.waitForSelector("#composer");
      assert.match(await page.tab.$eval("a.model", (link) => link.textContent), /SmolLM2 135M · CPU/);
    });

    it("answers as the reference does, and asks nobody meanwhile", async () => {
      await page.setUp({ preset: "precise" });
      const before = page.requests.length;
      const answer = await page.ask(CAPITAL.messages[0].content);
      // The app's own scripts come from the service worker.
      assert.deepEqual(page.requests.slice(before).filter((address) => !address.startsWith(`${site.address}assets/`)), []);
      assert.equal(text(answer), CAPITAL.answer);
      assert.equal(answer.state, "done");
      assert.match(answer.about, /tokens\/s · CPU/);
    });

    it("follows a conversation's own instructions", async () => {
      await page.go("chat");
      await page.setUp({ preset: "precise", instructions: STORY.messages[0].content });
      assert.equal(text(await page.ask(STORY.messages[1].content)), STORY.answer);
    });

    it("answers again as another version, and shows either", async () => {
      await page.act("assistant", "again");
      const again = await page.answer();
      assert.equal(again.versions, "2/2");
      assert.equal(text(again), STORY.answer);
      await page.press("Earlier version");
      await page.tab.waitForFunction(() => document.querySelector(".versions .figures")?.textContent === "1/2");
    });

    it("branches where a question is edited", async () => {
      await page.act("user", "edit");
      await page.tab.waitForSelector("article.user textarea");
      await page.tab.$eval("article.user textarea", (field) => field.select());
      await page.tab.type("article.user textarea", "Write about a cat.");
      await page.tab.click("article.user button[type=submit]");
      await page.tab.waitForFunction((other) => (document.querySelector("article.assistant .markdown")?.textContent.trim() || other) !== other, {}, STORY.answer);
      await page.stop();
      await page.answer();
      const [question] = await page.messages();
      assert.equal(question.text, "Write about a cat.");
      assert.equal(question.versions, "2/2");
      await page.press("Earlier version");
      await page.tab.waitForFunction(() => document.querySelector("article.user .bubble").textContent === "Write about a fox.");
      assert.equal(text((await page.messages()).at(-1)), STORY.answer);
    });

    it("stops, and goes on from there", async () => {
      await page.go("chat");
      await page.setUp({ preset: "precise", instructions: "" });
      await page.say("Tell me a long story about the sea.");
      await page.tab.waitForFunction(() => (document.querySelector("article.assistant .markdown")?.textContent.length ?? 0) > 20);
      await page.tab.keyboard.press("Escape");
      const stopped = await page.answer();
      assert.equal(stopped.state, "stopped");
      await page.act("assistant", "continue");
      await page.tab.waitForFunction((length) => document.querySelector("article.assistant .markdown").textContent.length > length, {}, stopped.text.length);
      await page.stop();
      const more = await page.answer();
      assert.ok(inOneLine(more.text).startsWith(inOneLine(stopped.text)), `${more.text} does not go on with ${stopped.text}`);
    });

    it("finds a conversation by words of an answer", async () => {
      await page.tab.type("#search", "paris france");
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 1);
      assert.deepEqual(await page.titles(), [CAPITAL.messages[0].content]);
      await page.tab.$eval("#search", (field) => {
        field.value = "";
        field.dispatchEvent(new Event("input", { bubbles: true }));
      });
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 3);
    });

    it("throws a conversation away and brings it back", async () => {
      const titles = await page.titles();
      await page.menu(CAPITAL.messages[0].content, "Delete");
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 2);
      await page.press("Undo");
      await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 3);
      assert.deepEqual(await page.titles(), titles);
    });

    it("renames a conversation", async () => {
      await page.menu(CAPITAL.messages[0].content, "Rename");
      await page.tab.waitForSelector("nav input");
      await page.tab.$eval("nav input", (field) => field.select());
      await page.tab.keyboard.type("Capitals");
      await page.tab.keyboard.press("Enter");
      await page.tab.waitForFunction(() => [...document.querySelectorAll("nav .title")].some(({ textContent }) => textContent === "Capitals"));
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
      await importFile(page, file("other.json", "{}"));
      await page.tab.waitForFunction(() => [...document.querySelectorAll(".toast")].some(({ textContent }) => textContent.includes("holds no conversations")));
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
      await page.paste("#question", "A long text. ".repeat(400));
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
      await page.openChat("Capitals");
      await page.tab.waitForSelector("article.assistant");
      assert.equal(text((await page.messages()).at(-1)), CAPITAL.answer);
    });

    it("marks an answer whose tab was killed, and offers to go on", async () => {
      await importFile(page, file("killed.json", exported("Killed", "Tell me a story", "Once upon a time", "writing")));
      await page.openChat("Killed");
      await page.tab.waitForSelector('article[data-state="interrupted"] [data-action="continue"]');
      assert.match(await page.tab.$eval("article.assistant", (article) => article.textContent), /The app was closed while this was written/);
    });

    it("asked nobody but its own site in all this", () => {
      const own = new URL(site.address).origin;
      const others = page.requests.filter((address) => /^(https?|wss?):/.test(address) && new URL(address).origin !== own);
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
      assert.equal(text(await page.ask(CAPITAL.messages[0].content)), CAPITAL.answer);
    });

    it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
  });
}

describe("the app in webkit, the poorest browser", () => {
  let site, page, close;
  before(async () => ({ site, page, close } = await openApp("webkit")));
  after(() => close?.());

  const askCapital = async () => {
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    return page.ask(CAPITAL.messages[0].content);
  };

  it("loads the small model, keeps it in the database, and answers", async () => {
    await page.load(SMALL);
    const answer = await askCapital();
    assert.equal(text(answer), CAPITAL.answer);
    assert.match(answer.about, /CPU, SIMD128, 1 thread$/);
    await page.go("models");
    await page.tab.waitForFunction(() => document.querySelector("[data-model]") && document.querySelector("main").textContent.includes("Models lie in the browser’s database"));
  });

  it("answers with the server gone", async () => {
    await page.offlineReady();
    site.server.closeAllConnections();
    await new Promise((resolve) => site.server.close(resolve));
    await page.reload();
    await page.loaded();
    assert.equal(text(await askCapital()), CAPITAL.answer);
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
      if (kind === "chromium") writeFileSync(join(userDataDir, "Default/Preferences"), JSON.stringify(chosen));
      const extraPrefsFirefox = { "network.cookie.cookieBehavior": 2, "dom.webgpu.enabled": false };
      ({ page, close } = await openApp(kind === "chromium" ? "chromium without WebGPU" : kind, { userDataDir, extraPrefsFirefox }));
    });
    after(() => close?.());

    it("says so from the start", async () => {
      assert.match(await page.tab.$eval(".nothing-kept", (note) => note.textContent), /conversations and models are gone when it is closed/);
    });

    it("answers all the same, and says why the model is not kept", async () => {
      await page.load(SMALL);
      await page.go("chat");
      await page.setUp({ preset: "precise" });
      assert.equal(text(await page.ask(CAPITAL.messages[0].content)), CAPITAL.answer);
      assert.deepEqual(await page.titles(), [CAPITAL.messages[0].content]);
      await page.go("models");
      assert.match(await page.tab.$eval("main", (main) => main.textContent), /keeps no model \(opfs: SecurityError: .*; indexeddb: \w+Error: .*\), so it is fetched again/);
    });

    it("finds, takes in, throws away and wipes conversations as ever", async () => {
      await importFile(page, file("long.json", exported("Cats", "Of cats", "They purr")));
      await page.tab.type("#search", "purr");
      await page.tab.waitForFunction(() => [...document.querySelectorAll("nav .title")].map(({ textContent }) => textContent).join() === "Cats");
      await page.openChat("Cats");
      assert.equal(text((await page.messages()).at(-1)), "They purr");
      await page.wipe();
      assert.deepEqual(await page.titles(), []);
    });

    it("leaves the browser without complaints", () => {
      // Firefox tells pages of the workers that it refuses them, whatever they do with the refusal.
      assert.deepEqual(page.complaints.filter((complaint) => !/ServiceWorker|service worker/.test(complaint)), []);
    });
  });
}

describe("the app for those who do not use a mouse or do not see", () => {
  let page, close;
  before(async () => ({ page, close } = await openApp("chromium without WebGPU")));
  after(() => close?.());

  /** What axe finds against the page as it is now. */
  async function violations() {
    await page.tab.evaluate(AXE);
    const { violations } = await page.tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`);
  }

  const SCREENS = ["welcome", "chat", "models", "settings", "privacy"];

  it("has something to look at", async () => {
    await importFile(page, file("shown.json", exported("Shown", "Show me code", `${HOSTILE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. one\n2. two`)));
    await page.tab.waitForSelector("nav .title");
  });

  for (const theme of ["light", "dark"]) {
    for (const [shape, viewport] of Object.entries({ phone: PHONE, desktop: { width: 1280, height: 800 } })) {
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

  it("says what a screen reader needs, and does not read the answer out token by token", async () => {
    const parts = await page.tab.evaluate(() => ({
      log: document.querySelector('[role="log"]').getAttribute("aria-live"),
      status: document.querySelector("#status").getAttribute("role"),
      articles: [...document.querySelectorAll("article")].map((article) => article.getAttribute("aria-label")),
      lang: document.documentElement.lang,
    }));
    assert.deepEqual(parts, { log: "off", status: "status", articles: ["You", "The model"], lang: "en" });
  });

  it("speaks German to those who want it", async () => {
    await page.go("settings");
    await page.tab.select("#language", "de");
    // The words come in a script of their own.
    await page.tab.waitForFunction(() => document.querySelector("h1").textContent === "Einstellungen" && document.documentElement.lang === "de");
    await page.tab.select("#language", "en");
    await page.tab.waitForFunction(() => document.querySelector("h1").textContent === "Settings");
  });

  it("can be walked through by the keyboard alone", async () => {
    await page.tab.setViewport({ width: 1280, height: 800 });
    await page.go("welcome");
    await page.reload();
    const focused = () => page.tab.evaluate(() => document.activeElement?.textContent.trim() || document.activeElement?.id);
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
    await page.tab.keyboard.type(CAPITAL.messages[0].content);
    await page.tab.keyboard.press("Enter");
    await page.tab.waitForFunction(() => document.querySelector("article.assistant .markdown")?.textContent.length > 0);
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
    await page.tab.waitForFunction(() => document.querySelector("article.user .bubble")?.textContent === "Show me code");
    await page.tab.evaluate(() => document.activeElement.blur());
    await page.tab.keyboard.press("?");
    await page.tab.waitForSelector("dialog[open] kbd");
    await page.tab.keyboard.press("Escape");
    await page.tab.waitForSelector("dialog[open]", { hidden: true });
    await page.tab.keyboard.press("/");
    assert.equal(await focused(), "question");
  });
});

/** A server in front of a site, at the end of a slow line that can be cut off in the middle of models. */
async function slowLine(site) {
  const line = { held: Promise.resolve(), release: () => {}, ranges: [] };
  const server = createServer((request, response) => {
    const options = { method: request.method, headers: { ...request.headers, host: new URL(site).host } };
    const passed = ask(new URL(request.url, site), options, async (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      const slowly = request.url.startsWith("/models/");
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      if (slowly && to) line.ranges.push([Number(from), Number(to) + 1]);
      for await (const piece of answer) {
        if (slowly) await line.held;
        if (response.destroyed) return answer.destroy();
        if (slowly) await sleep(2);
        response.write(piece);
      }
      response.end();
    });
    passed.on("error", () => response.destroy());
    request.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  line.hold = () => (line.held = new Promise((release) => (line.release = release)));
  line.close = () => (line.release(), server.closeAllConnections(), server.close());
  line.address = `http://127.0.0.1:${server.address().port}/`;
  return line;
}

/** Bytes in at least one of the ranges. */
function covered(ranges) {
  let end = 0;
  let sum = 0;
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    sum += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return sum;
}

describe("the app on a slow line, and its upkeep", () => {
  let site, line, browser, page;
  before(async () => {
    site = await serve({ models: dirname(MODEL), isolated: false });
    line = await slowLine(site.address);
    browser = await launch("chromium without WebGPU");
    page = await AppPage.open(browser, line.address);
  });
  after(async () => {
    await browser?.close();
    line?.close();
    site?.server.closeAllConnections();
    site?.server.close();
  });

  it("shows how far a download is, and pauses it", async () => {
    await page.begin(SMALL);
    await page.tab.waitForFunction(() => [document.querySelector("#loading progress")].some((progress) => progress?.value > 0.6 * progress?.max && progress.max > 1));
    line.hold();
    assert.match(await page.tab.$eval("#loading", (card) => card.textContent), /Downloading SmolLM2.*of 9\d.MB/s);
    await page.press("Pause");
    await page.tab.waitForSelector('#loading[data-phase="paused"]');
  });

  it("knows after a restart what has arrived, and fetches only the rest", async () => {
    await page.reload();
    await page.go("models");
    await page.tab.waitForFunction(() => / have arrived/.test(document.querySelector("[data-model]")?.textContent));
    line.release();
    line.ranges = [];
    await page.press("Go on");
    await page.loaded();
    const [fetched, { size }] = [covered(line.ranges), statSync(MODEL)];
    assert.ok(fetched < 0.75 * size, `${fetched} bytes of ${size} were fetched again after more than half of them had arrived`);
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    assert.equal(text(await page.ask(CAPITAL.messages[0].content)), CAPITAL.answer);
  });

  it("has several threads where the user wants them and the host says nothing", async () => {
    assert.equal(await page.tab.evaluate(() => crossOriginIsolated), false);
    await page.offlineReady();
    await page.tab.click("#isolate");
    await page.tab.waitForFunction(async () => (await caches.open("phi-wasm-choices").then((cache) => cache.keys())).length > 0);
    await page.reload();
    assert.equal(await page.tab.evaluate(() => crossOriginIsolated), true);
    await page.loaded();
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    const answer = await page.ask(CAPITAL.messages[0].content);
    assert.equal(text(answer), CAPITAL.answer);
    assert.match(answer.about, /threads/);
  });

  it("keeps the part of an answer that was there when its tab was closed", async () => {
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    await page.say("Tell me a long story about the sea.");
    const kept = await page.keptAnswer("writing");
    await page.tab.close();
    page = await AppPage.open(browser, line.address);
    await page.openChat("Tell me a long story about the sea.");
    await page.tab.waitForSelector('article[data-state="interrupted"]');
    assert.ok(inOneLine((await page.messages()).at(-1).text).startsWith(inOneLine(kept)), kept);
    await page.loaded();
    await page.tab.waitForSelector('[data-action="continue"]:not([disabled])');
  });

  it("shows long conversations page by page, and follows their end until the reader goes up", async () => {
    const long = exported("Long", "Question 0", "Answer 0");
    const [{ messages }] = long.conversations;
    for (let turn = 1; turn < 60; turn++) {
      const common = { conversation: "c", attachments: [], state: "done" };
      messages.push({ ...common, id: `q${turn}`, parent: messages.at(-1).id, role: "user", content: `Question ${turn}`, created: 2 * turn + 1 });
      messages.push({ ...common, id: `a${turn}`, parent: `q${turn}`, role: "assistant", content: `Answer ${turn}\n\nwith another paragraph`, created: 2 * turn + 2 });
    }
    await importFile(page, file("long.json", long));
    await page.openChat("Long");
    await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 50);
    const atEnd = () => page.tab.waitForFunction(() => [document.querySelector(".scroller")].every((it) => it.scrollHeight - it.scrollTop - it.clientHeight < 2));
    await atEnd();
    await page.press("Show 50 earlier messages");
    await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 100);
    await page.press("Jump to the latest");
    await atEnd();
    await page.tab.waitForSelector(".jump", { hidden: true });
    await page.tab.$eval(".scroller", (scroller) => scroller.scrollBy(0, -10));
    await page.tab.waitForSelector(".jump");
  });

  it("deletes a model when asked twice", async () => {
    await page.go("models");
    await page.tab.click("[data-model] [popovertarget]");
    await page.tab.waitForSelector(":popover-open");
    await page.tab.$$eval(":popover-open button", (buttons) => buttons.find(({ textContent }) => textContent === "Delete").click());
    await page.tab.waitForSelector("dialog[open]");
    await page.tab.click("dialog[open] .button.bad");
    await page.tab.waitForFunction(() => document.querySelector("main").textContent.includes("No model is kept on this device"));
  });

  it("leaves nothing behind when everything is deleted", async () => {
    await page.wipe();
    assert.deepEqual(await page.titles(), []);
    assert.equal(await page.tab.evaluate(() => localStorage.length), 0);
  });

  it("opens a file of the user's own once, and has it by itself the next time", async () => {
    const [chooser] = await Promise.all([page.tab.waitForFileChooser(), page.press("Open a file")]);
    await chooser.accept([MODEL]);
    await page.loaded();
    await page.reload();
    await page.loaded();
    await page.go("chat");
    await page.setUp({ preset: "precise" });
    assert.equal(text(await page.ask(CAPITAL.messages[0].content)), CAPITAL.answer);
  });

  it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
});
