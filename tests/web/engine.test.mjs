// What stands around the engine: which module a browser gets, what goes along with its requests,
// how fast loading goes, blocks of files.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { askFor, pageMet } from "../../web/src/asking.ts";
import { keep, recall } from "../../web/src/notes.ts";
import { Pace } from "../../web/src/pace.ts";
import { BLOCK, pieces } from "../../web/src/storage/storage.ts";
import { pick, VARIANTS, withoutThreads } from "../../web/src/variant.ts";
import { Caches } from "./browser.mjs";

/** The opcode of relaxed SIMD, which the module has that asks for it. */
const RELAXED = [0xfd, 0x93, 2];

describe("the module that a browser gets", () => {
  const { validate } = WebAssembly;
  const { waitAsync } = Atomics;
  afterEach(() => {
    WebAssembly.validate = validate;
    globalThis.crossOriginIsolated = false;
    Object.defineProperty(Atomics, "waitAsync", { value: waitAsync, configurable: true });
  });

  const isAsked = (bytes) => Buffer.from(bytes).includes(Buffer.from(RELAXED));
  for (const [relaxed, threads, isolated, variant] of [
    [false, false, false, "simd"],
    [true, false, false, "relaxed"],
    [true, true, false, "relaxed"],
    [false, true, true, "threads"],
    [true, false, true, "relaxed"],
    [true, true, true, "threads-relaxed"],
  ]) {
    const has = [relaxed && "relaxed SIMD", threads && "threads", isolated && "isolation"].filter(
      Boolean,
    );
    it(`is ${variant} with ${has.join(", ") || "neither"}`, () => {
      WebAssembly.validate = (bytes) => (isAsked(bytes) ? relaxed : threads);
      globalThis.crossOriginIsolated = isolated;
      assert.equal(pick(), variant);
    });
  }

  it("has no threads where nothing can wait for them", () => {
    WebAssembly.validate = () => true;
    globalThis.crossOriginIsolated = true;
    delete Atomics.waitAsync;
    assert.equal(pick(), "relaxed");
  });

  it("is asked for by modules that are right", () => {
    const asked = [];
    WebAssembly.validate = (bytes) => {
      asked.push(bytes);
      return true;
    };
    globalThis.crossOriginIsolated = true;
    pick();
    const threads = asked.find((bytes) => !isAsked(bytes));
    assert.equal(asked.length, 2);
    assert.ok(validate(threads), "the one with a shared memory and a fence");
  });

  it("is another without threads", () => {
    assert.deepEqual(VARIANTS.map(withoutThreads), ["simd", "relaxed", "simd", "relaxed"]);
  });
});

describe("the engine's requests", () => {
  const { fetch } = globalThis;
  let asked, answer;
  beforeEach(() => {
    asked = [];
    answer = async () => new Response("bytes");
    globalThis.fetch = async (what, init) => {
      asked.push([what.url ?? what, what.headers?.get("Authorization"), init?.mode]);
      return answer(what, init);
    };
  });
  afterEach(() => {
    globalThis.fetch = fetch;
  });

  const ask = (address, signal) => self.fetch(new Request(address, { signal }));
  const notThere = async () => {
    throw new TypeError("Failed to fetch");
  };

  it("take headers along to one server, and to no other", async () => {
    askFor({ origin: "https://a.example", headers: { Authorization: "t" } });
    await ask("https://a.example/m.gguf");
    await ask("https://b.example/m.gguf");
    await self.fetch("https://a.example/other");
    assert.deepEqual(
      asked.map(([address, sent]) => [new URL(address).host, sent]),
      [
        ["a.example", "t"],
        ["b.example", null],
        ["a.example", undefined],
      ],
    );
  });

  it("find no file where there is a web page, and remember one until the next model", async () => {
    askFor(undefined);
    answer = async () =>
      new Response("<p>", { headers: { "Content-Type": "text/html; charset=utf-8" } });
    assert.equal((await ask("https://a.example/one")).status, 404);
    assert.equal((await ask("https://a.example/two")).status, 404);
    assert.equal(pageMet(), "https://a.example/one");
    askFor(undefined);
    assert.equal(pageMet(), undefined);
  });

  it("say that a server lets nobody read it, where it is there", async () => {
    askFor(undefined);
    answer = async (_, init) => (init?.mode === "no-cors" ? new Response() : notThere());
    await assert.rejects(
      ask("https://a.example/m.gguf"),
      /server answers, but lets no other site read/,
    );
    answer = notThere;
    await assert.rejects(ask("https://a.example/m.gguf"), /^TypeError: Failed to fetch$/);
  });

  it("ask nobody else why, where a page's own server fails or nobody wants to know", async () => {
    askFor(undefined);
    answer = notThere;
    await assert.rejects(ask("https://page.example/m.gguf"), /^TypeError: Failed to fetch$/);
    await assert.rejects(ask("https://a.example/m.gguf", AbortSignal.abort()));
    assert.equal(asked.length, 2);
  });
});

describe("what loading finds out", () => {
  afterEach(() => delete globalThis.caches);

  it("is kept for the next time, if it is anything", async () => {
    globalThis.caches = new Caches();
    await keep("gpus", "one");
    await keep("gpus", undefined);
    assert.deepEqual([await recall("gpus"), await recall("hub")], ["one", ""]);
  });

  it("is found out again where nothing is kept", async () => {
    await keep("gpus", "one");
    assert.equal(await recall("gpus"), "");
  });
});

describe("the pace of loading", () => {
  /** At these milliseconds so many bytes of 1,000 were there. */
  const last = (...marks) => {
    const pace = new Pace();
    const told = marks.map(([time, done, phase = "downloading", total = 1000]) =>
      pace.with({ phase, done, total }, time),
    );
    return told.at(-1);
  };

  it("is told once there is something to go by", () => {
    assert.deepEqual(last([0, 0], [499, 400]), { phase: "downloading", done: 400, total: 1000 });
    const { bytesPerSecond, secondsLeft } = last([0, 0], [1000, 400]);
    assert.deepEqual([bytesPerSecond, secondsLeft], [400, 1.5]);
  });

  it("is that of the last seconds", () => {
    assert.equal(last([0, 0], [5000, 900], [10_000, 910], [11_000, 920]).bytesPerSecond, 20 / 6);
  });

  it("begins anew with a phase, and where something was lost", () => {
    assert.equal(last([0, 0], [1000, 400], [1100, 500, "preparing"]).bytesPerSecond, undefined);
    assert.equal(last([0, 0], [1000, 400], [1100, 300]).bytesPerSecond, undefined);
  });

  it("says nothing of an end that is not known, or does not come nearer", () => {
    assert.equal(last([0, 0, "loading", 0], [1000, 400, "loading", 0]).secondsLeft, undefined);
    assert.equal(last([0, 400], [1000, 400]).secondsLeft, undefined);
    assert.equal(last([0, 0], [1000, 2000]).secondsLeft, 0);
  });
});

describe("a stretch of a file", () => {
  for (const [at, length, found] of [
    [0, 0, []],
    [5, 10, [[0, 5, 0, 10]]],
    [BLOCK - 1, 1, [[0, BLOCK - 1, 0, 1]]],
    [
      BLOCK - 1,
      2,
      [
        [0, BLOCK - 1, 0, 1],
        [1, 0, 1, 2],
      ],
    ],
    [
      BLOCK,
      2 * BLOCK + 1,
      [
        [1, 0, 0, BLOCK],
        [2, 0, BLOCK, 2 * BLOCK],
        [3, 0, 2 * BLOCK, 2 * BLOCK + 1],
      ],
    ],
  ]) {
    it(`of ${length} bytes from ${at} lies in ${found.length} blocks`, () =>
      assert.deepEqual(
        pieces(at, length).map(({ block, start, from, to }) => [block, start, from, to]),
        found,
      ));
  }
});
