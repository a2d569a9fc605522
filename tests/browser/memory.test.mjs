// Many answers in one page: nothing that they needed stays, on the GPU, in the module's memory, in
// JavaScript's.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { needed } from "../../web/tools/memory.mjs";
import { Page } from "../../web/tools/page.mjs";
import { servePage } from "./setting.mjs";
import { makeTinyModel } from "./tiny.mjs";

/**
 * Bytes: a heap also holds what the browser's compiler makes of code that runs often. A kilobyte
 * for each of two hundred answers is more.
 */
const HEAP_SLACK = 192 << 10;

/** Everything of WebGPU that programs, buffers and commands are made of. */
const OF_THE_GPU = [
  "GPUDevice",
  "GPUBuffer",
  "GPUBindGroup",
  "GPUBindGroupLayout",
  "GPUComputePipeline",
  "GPUPipelineLayout",
  "GPUShaderModule",
  "GPUCommandEncoder",
  "GPUCommandBuffer",
];

let tiny, site, browser;
before(async () => {
  tiny = makeTinyModel();
  [site, browser] = await Promise.all([servePage({ models: tiny.folder }), launch("chromium")]);
});
after(async () => {
  await browser?.close();
  site?.close();
  tiny?.remove();
});

/**
 * How many objects of a class a thread has after collecting rubbish, and their bytes, where they
 * say.
 */
async function living(cdp, name) {
  const group = { objectGroup: "living" };
  const { result: prototype } = await cdp.send("Runtime.evaluate", {
    expression: `${name}.prototype`,
    ...group,
  });
  const { objects } = await cdp.send("Runtime.queryObjects", {
    prototypeObjectId: prototype.objectId,
    ...group,
  });
  const count =
    "function () { return { count: this.length, bytes: this.reduce((sum, { size, buffer }) => " +
    "sum + (size ?? buffer?.byteLength ?? 0), 0) }; }";
  const { result } = await cdp.send("Runtime.callFunctionOn", {
    objectId: objects.objectId,
    functionDeclaration: count,
    returnByValue: true,
  });
  await cdp.send("Runtime.releaseObjectGroup", group);
  return result.value;
}

/** What page and engine hold between two conversations. */
async function measure(page, watch) {
  await page.startOver("");
  const engine = page.tab.workers()[0].client;
  const exact = {};
  for (const name of ["WebAssembly.Memory", ...OF_THE_GPU])
    exact[name] = await living(engine, name);
  return { exact, heaps: { page: await needed(watch), engine: await needed(engine) } };
}

/**
 * Of twenty answers. Chromium's GPU, which a CPU plays, takes a second for each: there it is two
 * hundred where time does not count.
 */
const ROUNDS = { gpu: process.env.PHI_LONG ? 10 : 2, cpu: 10 };

/**
 * Conversations of four questions. The last of each is stopped at its first word, or sampled, and
 * is of another length than in any other round, so that it asks for a program of its own; but all
 * of its words were met before, for tokenizers remember words.
 */
function questions(round) {
  return Array.from({ length: 20 }, (_, number) => ({
    text:
      number % 4 === 3
        ? "a b".repeat(4 + round)
        : String.fromCharCode(97 + number).repeat(3 + ((number * 7) % 20)),
    anew: number % 4 === 0,
    stop: number % 8 === 3,
    temperature: number % 8 === 7 ? 1 : 0,
  }));
}

/** How the answer to a question ended. */
async function ask(page, { text, anew = false, stop = false, temperature = 0 }) {
  const wishes = { "#longest": stop ? 2000 : 2, "#temperature": temperature, "#question": text };
  await page.tab.evaluate(
    (wishes, anew, stop) => {
      for (const [id, value] of Object.entries(wishes)) document.querySelector(id).value = value;
      if (anew) document.querySelector("#forget").click();
      document.querySelector("#ask").click();
      if (!stop) return;
      const answer = document.querySelector("article.answer:last-of-type div");
      new MutationObserver((_, observer) => {
        observer.disconnect();
        document.querySelector("#stop").click();
      }).observe(answer, { childList: true });
    },
    wishes,
    anew,
    stop,
  );
  return (await page.finish()).stats.finish;
}

describe("many answers leave memory as it was", () => {
  for (const [backend, rounds] of Object.entries(ROUNDS)) {
    it(`on the ${backend.toUpperCase()}`, async () => {
      const page = await Page.open(browser, site.address, { model: "/models/", backend });
      await page.load();
      assert.equal(await page.device(), backend);
      const watch = await page.tab.createCDPSession();
      // What is kept on purpose comes about in the first round: compiled kernels, the programs of
      // single tokens, staging.
      for (const question of questions(0)) await ask(page, question);
      const first = await measure(page, watch);
      const ends = { stop: 0, length: 0, cancelled: 0 };
      for (let round = 1; round <= rounds; round++)
        for (const question of questions(round)) ends[await ask(page, question)]++;
      const last = await measure(page, watch);
      assert.ok(ends.cancelled > 0, "no answer was stopped");
      assert.deepEqual(last.exact, first.exact);
      for (const [whose, bytes] of Object.entries(first.heaps)) {
        assert.ok(
          last.heaps[whose] < bytes + HEAP_SLACK,
          `the ${whose}'s heap grew from ${bytes} bytes to ${last.heaps[whose]}`,
        );
      }
      assert.deepEqual(page.complaints, []);
      await page.tab.close();
    });
  }
});
