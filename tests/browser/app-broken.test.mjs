// What is wrong in a file that is imported, or in the database: it is said, or mended, and takes
// nothing else along. All that can be wrong is tested without a browser
// (tests/web/conversations.test.mjs).

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import {
  askAnew,
  ENDLESS,
  exported,
  file,
  importFile,
  inOneLine,
  OFFER,
  openApp,
  SKY,
  text,
} from "./app.mjs";

/** A well-formed export but for one thing. */
function broken({ conversation = {}, answer = {}, more = [] }) {
  const whole = exported("Broken", "Question", "Answer");
  const [only] = whole.conversations;
  Object.assign(only.messages[1], answer);
  only.messages.push(...more);
  return { ...whole, conversations: [{ ...only, ...conversation }] };
}

const {
  conversations: [
    {
      style,
      messages: [QUESTION],
    },
  ],
} = exported("", "Question", "Answer");
const SAME = [
  { id: "z", name: "a.txt", text: "1" },
  { id: "z", name: "b.txt", text: "2" },
];
const WITHOUT_ID = SAME.map(({ name, text }) => ({ name, text }));
const IMPOSSIBLE = { ...style, preset: "nope", temperature: -5, topP: 99, longest: 1e300 };

describe("the app and what is broken", () => {
  let page, close;
  before(async () => ({ page, close } = await openApp("chromium without WebGPU")));
  after(() => close?.());

  it("takes nothing of a file with messages of one id, and says so", async () => {
    const content = broken({ more: [{ ...QUESTION, content: "Another", created: 2 }] });
    await page.told("This file is damaged", () => importFile(page, file("broken.json", content)));
    assert.deepEqual(await page.titles(), []);
    const { conversations, messages } = await page.kept();
    assert.deepEqual([conversations, messages], [[], []]);
  });

  it("builds what it takes from the fields that it knows", async () => {
    const more = { secret: 1, chosen: { root: "q", q: "a", gone: "a" }, deleted: 5 };
    const content = broken({
      conversation: more,
      answer: { extra: { deep: [] } },
      more: [{ ...QUESTION, id: "lost", parent: "nowhere" }],
    });
    await importFile(page, file("whole.json", content));
    await page.openChat("Broken");
    assert.deepEqual(
      (await page.messages()).map(({ text }) => text.trim()),
      ["Question", "Answer"],
    );
    const { conversations, messages } = await page.kept();
    assert.deepEqual(Object.keys(conversations[0]).sort(), [
      "chosen",
      "created",
      "id",
      "instructions",
      "style",
      "title",
      "updated",
    ]);
    assert.equal(messages.length, 2);
    for (const message of messages)
      assert.deepEqual(Object.keys(message).sort(), [
        "attachments",
        "content",
        "conversation",
        "created",
        "id",
        "parent",
        "role",
        "state",
      ]);
    const [question, answer] = messages.sort((a, b) => a.created - b.created);
    assert.deepEqual(conversations[0].chosen, { root: question.id, [question.id]: answer.id });
  });

  it("shows every conversation, whatever lies beside it in the database", async () => {
    const [whole] = exported("Whole", "Question", "Answer").conversations;
    const row = ({ messages: _, ...conversation }, more) => ({ ...conversation, ...more });
    const conversations = [
      row(whole, { id: "whole" }),
      row(whole, { id: "date", title: "Date", updated: -9e15, created: "long ago" }),
      row(whole, { id: "attachments", title: "Attachments", style: IMPOSSIBLE }),
      row(whole, { id: "notes", title: "Notes", chosen: { root: { length: 1e8 } } }),
      row(whole, { id: "turns", title: "Turns" }),
      { id: "bare" },
    ];
    const [question, answer] = whole.messages;
    const said = (conversation, more, others = {}) => [
      { ...question, conversation, id: `${conversation}-q`, ...others },
      { ...answer, conversation, id: `${conversation}-a`, parent: `${conversation}-q`, ...more },
    ];
    const messages = [
      ...said("whole"),
      ...said("date", { created: Infinity }),
      ...said("attachments", {}, { attachments: [...SAME, ...WITHOUT_ID, null] }),
      ...said("notes", { notes: { length: 1e8 }, figures: 7 }),
      ...said("turns", { notes: ["Twice", "Twice"] }),
      { ...question, conversation: "turns", id: "root", parent: null },
      { ...question, conversation: "turns", id: "around", parent: "around" },
      { id: "nothing", conversation: "notes" },
    ];
    await page.tab.evaluate(
      (stores) =>
        new Promise((resolve, reject) => {
          const opening = indexedDB.open("phi-wasm-chats");
          opening.onsuccess = () => {
            const transaction = opening.result.transaction(Object.keys(stores), "readwrite");
            for (const [store, rows] of Object.entries(stores))
              for (const row of rows) transaction.objectStore(store).put(row);
            transaction.oncomplete = () => resolve(opening.result.close());
            transaction.onabort = () => reject(transaction.error);
          };
        }),
      { conversations, messages, drafts: [{ conversation: "", text: 5, attachments: null }] },
    );
    await page.reload();
    await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 7);
    assert.deepEqual((await page.titles()).sort(), [
      "",
      "Attachments",
      "Broken",
      "Date",
      "Notes",
      "Turns",
      "Whole",
    ]);
    for (const title of ["Attachments", "Date", "Notes", "Turns", "Whole"]) {
      await page.openChat(title);
      await page.tab.waitForFunction(() => document.querySelectorAll("article").length === 2);
      assert.deepEqual(
        (await page.messages()).map(({ text }) => text.trim()),
        ["Question", "Answer"],
        title,
      );
    }
    await page.tab.type("#search", "Answer");
    await page.tab.waitForFunction(() => document.querySelectorAll("nav .title").length === 6);
  });

  it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
});

describe("the app on a server that gives a page in place of the engine", () => {
  let site, page, close, isIll;
  before(async () => {
    ({ site, page, close } = await openApp("chromium without WebGPU"));
    const [serveFiles] = site.server.listeners("request");
    site.server.removeListener("request", serveFiles).on("request", (request, response) => {
      if (isIll && request.url.endsWith(".wasm"))
        response
          .writeHead(200, { "Content-Type": "text/html" })
          .end("<!doctype html><p>not this</p>");
      else serveFiles(request, response);
    });
    await page.tab.waitForFunction(() => navigator.serviceWorker.controller);
  });
  after(() => close?.());

  const kept = () =>
    page.tab.evaluate(async () => {
      const cache = await caches.open("phi-wasm-engine");
      const all = [];
      for (const request of await cache.keys())
        all.push([(await cache.match(request)).headers.get("Content-Type"), request.url]);
      return all;
    });

  it("says so, and keeps nothing of it", async () => {
    isIll = true;
    await page.go("models");
    await assert.rejects(page.load(OFFER), { code: "no-worker" });
    assert.deepEqual(await kept(), []);
  });

  it("loads as soon as the server is well again, and keeps the engine", async () => {
    isIll = false;
    await page.reload();
    await page.go("models");
    await page.load(OFFER);
    await page.offlineReady();
    assert.deepEqual(
      (await kept()).map(([type]) => type),
      ["application/wasm"],
    );
  });

  for (const type of ["text/html", "application/wasm"]) {
    it(`fetches anew what is no engine, even if it was kept and claims to be ${type}`, async () => {
      const [[, url]] = await kept();
      const before = page.requests.length;
      await page.tab.evaluate(
        async (url, type) => {
          const other = new Response("<!doctype html><p>not this</p>", {
            headers: { "Content-Type": type },
          });
          await (await caches.open("phi-wasm-engine")).put(url, other);
        },
        url,
        type,
      );
      await page.reload();
      await page.loaded();
      assert.ok(page.requests.slice(before).includes(url));
      await page.offlineReady();
      const size = await page.tab.evaluate(
        async (url) => (await (await caches.match(url)).arrayBuffer()).byteLength,
        url,
      );
      assert.ok(size > 1e6, `${size} bytes are kept`);
    });
  }
});

describe("the app whose engine ends", () => {
  let page, close;
  before(async () => {
    ({ page, close } = await openApp("chromium without WebGPU"));
    await page.load(OFFER);
  });
  after(() => close?.());
  // The driver of the browser goes on to list workers that have ended.
  beforeEach(async () => {
    await page.reload();
    await page.loaded();
  });

  const phase = () => page.tab.$eval("a.model", ({ dataset }) => dataset.phase);
  const strike = (what) =>
    void page.tab
      .workers()[0]
      .evaluate(what)
      .catch(() => {});

  it("because it does not stop has the model again by itself", async () => {
    await page.go("chat");
    await page.setUp({ preset: "precise", instructions: "" });
    strike(() => {
      for (;;);
    });
    await page.say(SKY.question);
    await page.tab.waitForSelector("#stop");
    await page.stop();
    await page.tab.waitForSelector('a.model[data-phase="loading"]');
    assert.equal((await page.answer()).state, "stopped");
    await page.loaded();
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });

  it("says so at once, even if nobody asks, and loads the model again when told to", async () => {
    await page.go("chat");
    strike(() => self.close());
    await page.tab.waitForSelector('[data-code="internal"]');
    assert.equal(await phase(), "failed");
    await page.press("Load again");
    await page.loaded();
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });

  it("for want of memory offers half the context, and answers with it", async () => {
    await page.go("chat");
    strike(() =>
      self.postMessage({
        kind: "trapped",
        error: { code: "out-of-memory", message: "no memory: load with a shorter context" },
      }),
    );
    await page.tab.waitForSelector('[data-code="out-of-memory"]');
    assert.equal(await phase(), "failed");
    assert.equal(
      await page.tab.$eval("[data-code] .button", ({ textContent }) => textContent),
      "Load with 2,048 tokens",
    );
    await page.tab.click("[data-code] .button");
    await page.loaded();
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
  });

  it("while it answers keeps what was said, and goes on with the model back", async () => {
    await page.go("chat");
    await page.setUp({ preset: "precise", instructions: "" });
    await page.say(ENDLESS.question);
    await page.tab.waitForFunction(
      () => document.querySelector("article.assistant .markdown")?.textContent,
    );
    strike(() => self.close());
    await page.tab.waitForSelector('[data-code="internal"]');
    assert.equal(await page.tab.$$eval("[data-code]", ({ length }) => length), 1);
    const { state, text } = (await page.messages()).at(-1);
    assert.equal(state, "failed");
    // What is known of it is its beginning.
    const [said, known] = [text, ENDLESS.answer].map(inOneLine);
    assert.ok(said.startsWith(known.slice(0, said.length)), said);
    await page.press("Load again");
    await page.loaded();
    await page.tab.waitForSelector('[data-action="continue"]:not([disabled])');
  });
});

describe("the app on a device with little memory", () => {
  let page, close;
  before(
    async () =>
      ({ page, close } = await openApp("chromium without WebGPU", {
        args: ["--js-flags=--wasm-max-mem-pages=1300"],
      })),
  );
  after(() => close?.());

  it("offers the context that has room, answers with it, and takes it next time", async () => {
    await assert.rejects(page.load(OFFER), { code: "out-of-memory" });
    const label = await page.tab.$eval("[data-code] .button", ({ textContent }) => textContent);
    const [, tokens] = /^Load with ([\d,]+) tokens$/.exec(label) ?? assert.fail(label);
    await page.tab.click("[data-code] .button");
    await page.loaded();
    assert.equal(text(await askAnew(page, SKY)), SKY.answer);
    await page.reload();
    await page.loaded();
    await page.go("models");
    assert.match(
      await page.tab.$eval("main", ({ textContent }) => textContent),
      new RegExp(`Remembers ${tokens} tokens`),
    );
  });

  it("sends people to smaller models where no context has room", async () => {
    await page.tab.evaluate(() =>
      localStorage.setItem("phi-wasm-settings", JSON.stringify({ language: "en", shortened: 300 })),
    );
    await page.reload();
    await page.loaded();
    await page.go("chat");
    void page.tab
      .workers()[0]
      .evaluate(() =>
        self.postMessage({
          kind: "trapped",
          error: { code: "out-of-memory", message: "no memory" },
        }),
      )
      .catch(() => {});
    await page.tab.waitForSelector('[data-code="out-of-memory"]');
    await page.press("Choose another model");
    await page.tab.waitForSelector('main[data-screen="models"]');
  });
});
