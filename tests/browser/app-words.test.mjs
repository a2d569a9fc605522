// What the app says when something is not as expected, in the language of who reads it. That it has
// words for all is tested without a browser (tests/web/words.test.mjs).

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exported, file, importFile, OFFER, openApp } from "./app.mjs";

/** A file that is named like a model and is none. */
const NO_MODEL = file("words.gguf", "Only words. ".repeat(100));

describe("what the app says", () => {
  let site, page, close;
  before(async () => ({ site, page, close } = await openApp("chromium without WebGPU")));
  after(() => close?.());

  it("names a problem and has the engine say the rest, in English", async () => {
    await page.choose("::-p-aria(Open a file)", NO_MODEL);
    await page.tab.waitForSelector("[data-code]");
    const { code, message } = await page.problem();
    assert.equal(code, "not-a-model");
    assert.match(message, /words\.gguf/);
  });

  it("is all German for who reads German, the engine's sentence where it is sought", async () => {
    await page.go("settings");
    await page.tab.select("#language", "de");
    await page.tab.waitForFunction(
      () => document.querySelector("h1").textContent === "Einstellungen",
    );
    await page.go("models");
    const card = await page.tab.waitForSelector("[data-code]");
    const said = await card.evaluate((card) => ({
      title: card.querySelector("h2").textContent,
      text: card.querySelector("p").textContent,
      english: [...card.querySelectorAll("[lang=en]")].map((element) => [
        element.checkVisibility(),
        element.textContent,
      ]),
    }));
    await page.tab.setViewport({ width: 390, height: 844 });
    // The window learns its width before what lies within has been laid out for it.
    await page.tab.waitForFunction(() => {
      const main = document.querySelector("main");
      return innerWidth === 390 && main.scrollWidth <= main.clientWidth;
    });
    await page.tab.setViewport({ width: 1280, height: 800 });
    assert.equal(said.title, "Das ist kein Modell");
    assert.match(said.text, /^Die Datei ist kein Modell, das hier läuft\. Wählen Sie/);
    assert.equal(said.english.length, 1);
    assert.equal(said.english[0][0], false);
    assert.match(said.english[0][1], /words\.gguf/);
  });

  it("is German where the engine says what it does instead", async () => {
    await page.go("welcome");
    await page.load(OFFER);
    await page.go("models");
    const model = await page.tab.waitForFunction(
      () =>
        /\d+ Thread|ein Thread/.test(document.querySelector("main .card.model")?.innerText) &&
        document.querySelector("main .card.model").innerText,
    );
    const said = await model.jsonValue();
    assert.match(said, /Der Prozessor antwortet, denn eine brauchbare Grafikkarte ist nicht da\./);
    assert.doesNotMatch(said, /The CPU|thread\b/);
    const toAnswer = exported("Notizen", "Und?", "Ja.");
    toAnswer.conversations[0].messages[1].notes = [
      "The model is loaded again, and the answer goes on: the GPU was lost",
      "Eigene Worte.",
    ];
    await importFile(page, file("notes.json", toAnswer));
    await page.openChat("Notizen");
    await page.tab.waitForSelector(".note");
    const notes = await page.tab.$$eval("article .note", (notes) =>
      notes.map(({ textContent }) => textContent),
    );
    assert.deepEqual(notes, [
      "Das Modell wurde neu gestartet, und die Antwort geht weiter.",
      "Eigene Worte.",
    ]);
  });

  it("is that a conversation is not there, where an address leads to none", async () => {
    for (const id of ["nowhere", "%E0%A4%A"]) {
      await page.tab.goto("about:blank");
      await page.tab.goto(`${site.address}#/chat/${id}`);
      await page.tab.waitForSelector("#lost");
      assert.match(
        await page.tab.$eval("#lost", ({ textContent }) => textContent),
        /Unter dieser Adresse ist kein Gespräch/,
      );
      assert.equal(await page.tab.evaluate(() => location.hash), "#/chat");
      await page.tab.waitForSelector(".chat.empty #composer");
      await page.openChat("Notizen");
      await page.tab.waitForSelector("#lost", { hidden: true });
    }
  });

  it("is without the browser's complaints", () => assert.deepEqual(page.complaints, []));
});
