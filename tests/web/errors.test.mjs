// Errors of the package: their classes by their codes, what is told of what was thrown, and memory
// that was refused.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCalled, isRefusal, why } from "../../web/shared/exceptions.ts";
import * as errors from "../../web/src/errors.ts";
import { givesModuleNoMemory, noMemory, ofMemory, saysNoMemory } from "../../web/src/memory.ts";
import { full } from "../../web/src/storage/room.ts";
import { failed, StorageFault } from "../../web/src/storage/storage.ts";
import { CODES } from "./codes.mjs";

/** Those that belong to no group. */
const ALONE = ["cancelled", "internal"];

const { asPhiError, faultOf, isTold, phiError, plain } = errors;

describe("an error's class", () => {
  it("is one of a group for every code of the engine, but for two", () => {
    assert.ok(CODES.length > 20, "the engine's codes were not found");
    const groupless = CODES.filter((code) => phiError({ code, message: "" }).name === "PhiError");
    assert.deepEqual(groupless.sort(), ALONE);
  });

  const ROWS = {
    "storage-full": ["StorageError", { missing: 5 }],
    "out-of-memory": ["MemoryError", { contextLength: 512 }],
    network: ["NetworkError", {}],
    "not-a-model": ["ModelError", {}],
    "gpu-lost": ["GpuError", {}],
    "bad-option": ["InputError", {}],
    "no-browser": ["PhiError", {}],
  };
  for (const [code, [name, details]] of Object.entries(ROWS)) {
    it(`is ${name} for ${code}, also after the way between threads`, () => {
      const error = phiError(structuredClone(plain({ code, message: "what: do", ...details })));
      assert.ok(error instanceof errors.PhiError);
      assert.deepEqual({ ...error }, { name, code, ...details });
      assert.equal(error.message, "what: do");
    });
  }
});

describe("what was thrown", () => {
  it("is told as it is where it has a code of ours", () => {
    const error = new errors.NetworkError("network", "gone");
    assert.equal(asPhiError(error), error);
    assert.equal(asPhiError(new StorageFault("in-use", "taken")).name, "StorageError");
  });

  for (const [what, thrown, sentence] of [
    ["an error", new Error("why"), /stopped unexpectedly \(why\)/],
    ["a browser's exception, whose code is a number", new DOMException("why"), /\(why\)/],
    ["a text", "why", /\(why\)/],
    ["nothing", undefined, /\(undefined\)/],
  ]) {
    it(`is a fault of ours where it is ${what}`, () => {
      assert.equal(isTold(thrown), false);
      const { code, message } = asPhiError(thrown);
      assert.equal(code, "internal");
      assert.match(message, sentence);
    });
  }

  it("says what a browser said", () => {
    assert.equal(why(new TypeError("no")), "TypeError: no");
    assert.equal(why(new Error("no")), "no");
    assert.equal(why(new DOMException("", "AbortError")), "AbortError");
    assert.equal(why("no"), "no");
  });

  it("is known by its name", () => {
    assert.ok(isCalled(new DOMException("", "AbortError"), "NotFoundError", "AbortError"));
    assert.ok(!isCalled(undefined, "AbortError"));
    assert.ok(isRefusal(new DOMException("", "QuotaExceededError")));
    assert.ok(!isRefusal(new Error("QuotaExceededError")));
  });
});

/** What browsers throw in place of memory. */
const REFUSALS = [
  new RangeError("Array buffer allocation failed"),
  new RangeError("Invalid typed array length: 4294967296"),
  new RangeError("WebAssembly.Memory(): could not allocate memory"),
  new Error("Out of memory"),
  "out of memory",
  new RangeError("Invalid string length"),
];

describe("memory that was refused", () => {
  for (const refusal of REFUSALS) {
    it(`is known in "${refusal.message ?? refusal}"`, () => {
      assert.ok(saysNoMemory(refusal));
      assert.equal(faultOf(refusal, undefined).code, "out-of-memory");
      assert.equal(failed("a.gguf", refusal).code, "out-of-memory");
    });
  }

  it("is not what else goes wrong", () => {
    for (const error of [new Error("unreachable"), new TypeError("no memory of that"), undefined])
      assert.ok(!saysNoMemory(error));
  });

  it("may be called a fault of a module that begins", () => {
    const { CompileError, RuntimeError } = WebAssembly;
    assert.ok(givesModuleNoMemory(new RuntimeError("x")));
    assert.ok(givesModuleNoMemory(new CompileError("memory is too large")));
    assert.ok(!givesModuleNoMemory(new CompileError("bad magic")));
    assert.ok(!givesModuleNoMemory(new TypeError("Failed to fetch")));
  });

  it("is told by a module that ends, whose count has no sign", () => {
    const memory = new WebAssembly.Memory({ initial: 16 });
    const module = (refusedBytes) => ({ memory, refusedBytes: () => refusedBytes });
    assert.equal(ofMemory(new Error("unreachable"), module(0)), undefined);
    const { code, message } = ofMemory(new Error("unreachable"), module(-(2 ** 31)));
    assert.equal(code, "out-of-memory");
    assert.match(message, /has 1\.0 MB, .* \(2147\.5 MB more are needed\)/);
    assert.match(noMemory(undefined, 100).message, /^there is no memory \(100 bytes more are/);
  });
});

describe("storage that is full", () => {
  for (const [bytes, missing, sentence] of [
    [undefined, undefined, /^there is no room left in the browser's storage; delete/],
    [1500, undefined, /^there is no room for 1\.5 kB more in the browser's storage; /],
    [3e9, 2e6, /for 3\.0 GB more .*: 2\.0 MB \(2000000 bytes\) are missing; /],
  ]) {
    it(`says ${sentence}`, () => {
      const error = asPhiError(full(bytes, missing));
      assert.deepEqual(
        [error.name, error.code, error.missing],
        ["StorageError", "storage-full", missing],
      );
      assert.match(error.message, sentence);
    });
  }
});
