// The app's languages: each says all that the other says, and what the engine says is known in its
// own words.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { inOneLine, problemOf, problemOfFiles, refusalOf } from "../../web/app/state/problems.ts";
import { set } from "../../web/app/state/settings.svelte.ts";
import { de } from "../../web/app/words/de.ts";
import { en } from "../../web/app/words/en.ts";
import { words } from "../../web/app/words/words.svelte.ts";
import { CODES } from "./codes.mjs";

const ROOT = new URL("../../", import.meta.url);

/** The sources of a folder, without the ends of lines at which a text is broken. */
function textOf(folder, ending) {
  const names = readdirSync(new URL(folder, ROOT), { recursive: true });
  const sources = names.filter((name) => name.endsWith(ending));
  const read = (name) => readFileSync(new URL(`${folder}/${name}`, ROOT), "utf8");
  return sources.map((name) => read(name).replace(/\\\n\s*/g, "")).join("\n");
}

const ENGINE = textOf("crate", ".rs") + textOf("web/src", ".ts");
/** All that the engine calls by a code, and what the app meets itself. */
const PROBLEMS = [...CODES, "no-browser", "no-worker", "max-rounds", "offline", "not-written"];

/** Each name that leads to something, and what kind of thing that is. */
function kinds(value, path = "") {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return [[path, Array.isArray(value) ? "list" : typeof value]];
  return Object.entries(value).flatMap(([name, inner]) => kinds(inner, `${path}.${name}`));
}

describe("the app's words", () => {
  it("are the same in both languages, but for the texts of problems", () => {
    const [english, german] = [en, de].map(({ problems: _, ...others }) => kinds(others).sort());
    assert.ok(english.length > 100);
    assert.deepEqual(german, english);
  });

  it("name no problem that there is not", () => {
    for (const { problems } of [en, de])
      assert.deepEqual(
        Object.keys(problems).filter((name) => !PROBLEMS.includes(name)),
        [],
      );
  });

  for (const name of PROBLEMS) {
    it(`are there for ${name}, in German with a text in place of the engine's`, () => {
      assert.ok(en.problems[name]?.title, "English");
      assert.ok(de.problems[name]?.title && de.problems[name].text, "German");
    });
  }

  it("are the truth about the original weights", () => {
    const { text } = de.offers.about["phi-4-mini-original"];
    assert.match(text, /4,5 Bit je Gewicht/);
    assert.doesNotMatch(text, /Genauigkeit/);
  });

  for (const [pattern, say] of de.notices) {
    it(`know a sentence that somebody says: ${pattern.source}`, () => {
      const parts = pattern.source
        .replace(/^\^|\$$/g, "")
        .replaceAll("\\", "")
        .split(/\(.*?\)|\[.*?\]\+/);
      for (const part of parts) assert.ok(ENGINE.includes(part), `nobody says "${part}"`);
      assert.doesNotMatch(say("1", "2"), /undefined/);
    });
  }

  it("stand for what the engine says, as far as they are known", async () => {
    await words.speak("de");
    assert.equal(words.t, en, "another language was chosen meanwhile");
    set("language", "de");
    await words.speak("de");
    assert.match(words.notice("The CPU answers: there is no GPU"), /^Der Prozessor antwortet/);
    assert.equal(words.notice("Something new."), "Something new.");
    set("language", "en");
    await words.speak("en");
    assert.equal(
      words.notice("The CPU answers: there is no GPU"),
      "The CPU answers: there is no GPU",
    );
  });

  for (const [what, said] of [
    [() => words.bytes(900), "0.9 kB"],
    [() => words.bytes(98_000_000), "98 MB"],
    [() => words.bytes(2.4e9), "2.4 GB"],
    [() => words.duration(2), "1 second"],
    [() => words.duration(7), "5 seconds"],
    [() => words.duration(90), "2 minutes"],
    [() => words.duration(7200), "2 hours"],
    [() => words.decimal(9.87), "9.9"],
    [() => words.decimal(123.4), "123"],
    [() => words.daysAgo(1), "Yesterday"],
  ]) {
    it(`say ${said} for ${String(what).slice(12)}`, () =>
      assert.equal(what().replace("\u00a0", " "), said));
  }
});

describe("a problem", () => {
  it("has the engine's sentence where there is no other, and what can be done", () => {
    const problem = problemOf({ code: "not-a-model", message: "a.gguf is none" });
    assert.deepEqual(
      [problem.name, problem.action, problem.detail],
      ["not-a-model", "choose", "a.gguf is none"],
    );
    assert.match(inOneLine(problem), /: a\.gguf is none$/);
  });

  it("is the network's where there is none", () => {
    navigator.onLine = false;
    const { code, name } = problemOf({ code: "network", message: "gone" });
    navigator.onLine = true;
    assert.deepEqual([code, name], ["network", "offline"]);
  });

  it("with files that were picked asks for others, where these stay as they are", () => {
    const about = (code, webkitRelativePath = "") =>
      problemOfFiles({ code, message: "a.gguf" }, [{ webkitRelativePath }]).action;
    assert.equal(problemOf({ code: "truncated", message: "a.gguf" }).action, "retry");
    assert.deepEqual(
      ["truncated", "malformed", "corrupt", "io"].map((code) => about(code)),
      Array(4).fill("file"),
    );
    assert.equal(about("truncated", "model/config.json"), "folder");
    assert.deepEqual(
      ["in-use", "not-a-model", "out-of-memory"].map((code) => about(code)),
      ["retry", "choose", "shorter"],
    );
  });

  it("that nobody knows is ours", () => {
    const { code, name, action } = problemOf(new Error("what"));
    assert.deepEqual([code, name, action], ["internal", "internal", "again"]);
  });

  it("is a full disk where the browser says so", () => {
    const { action, detail } = refusalOf(new DOMException("no", "QuotaExceededError"));
    assert.deepEqual([action, detail], ["storage", "QuotaExceededError: no"]);
    assert.equal(refusalOf(new Error("no")).action, "retry");
  });
});
