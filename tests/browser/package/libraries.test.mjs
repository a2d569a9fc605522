// The React hooks and the AI SDK's provider, each with the real library, bundled with the packed package, in Chromium.

import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../../../web/tools/browser.mjs";
import { serveFolder } from "../../../web/tools/serve.mjs";
import { project, run, serveModels } from "../samples.mjs";
import { ANSWERS, MODEL } from "../setting.mjs";

const TSC = fileURLToPath(new URL("../../../web/node_modules/.bin/tsc", import.meta.url));
const [{ messages, answer }, story] = ANSWERS;
const QUESTION = messages.at(-1).content;
const LONG = "Tell me a long story about the sea.";

let folder, site, models, model, browser;
before(async () => {
  folder = project("libraries");
  run(folder, join(folder, "node_modules/.bin/esbuild"), "react.jsx", "ai.js", "--bundle", "--format=esm", "--splitting", "--jsx=automatic", "--outdir=dist");
  [site, models, browser] = await Promise.all([serveFolder(folder), serveModels(), launch("chromium without WebGPU")]);
  model = `${models.address}${basename(MODEL)}`;
});
after(async () => {
  await browser?.close();
  site?.close();
  models?.close();
});

async function open(file, wishes = {}) {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(120_000);
  const complaints = [];
  tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  tab.on("pageerror", (error) => complaints.push(error.message));
  await tab.goto(`${site.address}${file}?${new URLSearchParams({ model, ...wishes })}`);
  return { tab, complaints };
}

async function noWorkers(tab) {
  // A worker that does not end makes this time out.
  while (tab.workers().length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe("the React hooks", () => {
  let tab, complaints;
  before(async () => ({ tab, complaints } = await open("react.html")));

  const until = (status, chat = "idle") => tab.waitForSelector(`main[data-status=${status}][data-chat=${chat}]`);
  const said = () => tab.$$eval("main p", (lines) => lines.map((line) => [line.className, line.textContent]));
  const output = () => tab.$eval("output", (line) => JSON.parse(line.textContent));
  const send = async (question) => {
    await tab.type("input", question);
    await tab.keyboard.press("Enter");
    await tab.waitForSelector("main:not([data-chat=idle])");
  };

  it("load nothing by themselves", async () => {
    await until("idle");
    assert.deepEqual([tab.workers().length, await tab.evaluate(() => seen)], [0, ["idle idle"]]);
  });

  it("tell why a model does not load", async () => {
    await tab.click("#load-nothing");
    await until("failed");
    assert.equal((await output()).code, "not-found");
    await noWorkers(tab);
  });

  it("pause loading", async () => {
    await tab.click("#load");
    await tab.waitForFunction(() => document.querySelector("progress").value > 0);
    await tab.click("#pause");
    await until("idle");
    await noWorkers(tab);
  });

  it("load, and answer piece by piece", async () => {
    await tab.evaluate(() => (self.seen = []));
    await tab.click("#load");
    await until("ready");
    await send(QUESTION);
    await until("ready");
    assert.deepEqual(await said(), [["user", QUESTION], ["assistant", answer]]);
    assert.deepEqual(await tab.evaluate(() => seen), ["loading idle", "ready idle", "ready reading", "ready answering", "ready idle"]);
    assert.equal((await output()).finish, "stop");
  });

  it("answer again", async () => {
    await tab.click("#again");
    await tab.waitForSelector("main:not([data-chat=idle])");
    await until("ready");
    assert.deepEqual(await said(), [["user", QUESTION], ["assistant", answer]]);
  });

  it("stop an answer, and keep what was said", async () => {
    await tab.click("#clear");
    await send(LONG);
    await tab.waitForSelector("p.assistant");
    await tab.click("#stop");
    await until("ready");
    const [, [role, text]] = await said();
    assert.deepEqual([role, (await output()).finish], ["assistant", "cancelled"]);
    assert.ok(text.length > 0 && text.length < 1000, text);
  });

  it("take another conversation while one is answered", async () => {
    await tab.click("#clear");
    await send(LONG);
    await tab.click("#clear");
    await send(QUESTION);
    await until("ready");
    assert.deepEqual(await said(), [["user", QUESTION], ["assistant", answer]]);
  });

  it("end the workers when the model is unloaded, and when the component goes", async () => {
    await tab.click("#unload");
    await until("idle");
    await noWorkers(tab);
    await tab.click("#load");
    await until("ready");
    assert.ok(tab.workers().length > 0);
    await tab.click("#leave");
    await noWorkers(tab);
  });

  it("leave the browser without complaints", () => {
    // The missing file of the test above is one that the browser itself tells.
    assert.deepEqual(complaints.filter((text) => !text.includes("404")), []);
  });
});

describe("the AI SDK's provider", () => {
  let tab;
  before(async () => {
    ({ tab } = await open("ai.html"));
    await tab.waitForSelector("body[data-outcome]");
    await tab.evaluate((address) => {
      self.provider = createPhi({ backend: "cpu", storage: "none" });
      self.model = provider(address);
    }, model);
  });

  it("loads nothing before it is asked", () => assert.equal(tab.workers().length, 0));

  it("generates a text", async () => {
    const result = await tab.evaluate(async (prompt) => {
      const { text, finishReason, usage, warnings, response } = await generateText({ model, prompt });
      return { text, finishReason, usage, warnings, modelId: response.modelId };
    }, QUESTION);
    assert.deepEqual([result.text, result.finishReason], [answer, "stop"]);
    assert.ok(result.usage.inputTokens > 10 && result.usage.outputTokens > 3, JSON.stringify(result.usage));
    assert.equal(result.usage.totalTokens, result.usage.inputTokens + result.usage.outputTokens);
    assert.equal(result.modelId, model);
  });

  it("streams a text, of a conversation", async () => {
    const { pieces, finishReason, usage } = await tab.evaluate(async (messages) => {
      const [system, ...others] = messages;
      const result = streamText({ model, system: system.content, messages: others });
      const pieces = [];
      for await (const piece of result.textStream) pieces.push(piece);
      return { pieces, finishReason: await result.finishReason, usage: await result.usage };
    }, story.messages);
    assert.equal(pieces.join(""), story.answer);
    assert.ok(pieces.length > 10, `${pieces.length} pieces`);
    assert.equal(finishReason, "stop");
    assert.ok(usage.outputTokens > 10);
  });

  it("keeps to the options of a call", async () => {
    const { text, finishReason, usage } = await tab.evaluate(async (prompt) => {
      const { text, finishReason, usage } = await generateText({ model, prompt, maxOutputTokens: 3, temperature: 0, providerOptions: { phi: { repetitionPenalty: 1 } } });
      return { text, finishReason, usage };
    }, QUESTION);
    assert.deepEqual([text, finishReason, usage.outputTokens], ["The capital of", "length", 3]);
  });

  it("ends an answer by a signal", async () => {
    const { aborted, text, next } = await tab.evaluate(async (prompt, question) => {
      const abort = new AbortController();
      let aborted = false;
      let text = "";
      const { textStream } = streamText({ model, prompt, abortSignal: abort.signal, onAbort: () => (aborted = true) });
      for await (const piece of textStream) {
        text += piece;
        abort.abort();
      }
      const whole = await generateText({ model, prompt, abortSignal: AbortSignal.timeout(200), maxRetries: 0 }).catch(({ name }) => name);
      return { aborted, text, whole, next: (await generateText({ model, prompt: question })).text };
    }, LONG, QUESTION);
    assert.ok(aborted && text.length > 0 && text.length < 1000, text);
    assert.equal(next, answer);
  });

  it("says what it cannot do", async () => {
    const [warnings, error] = await tab.evaluate(async (prompt) => {
      const tools = { look: tool({ description: "Looks", inputSchema: jsonSchema({ type: "object", properties: {} }) }) };
      const { warnings } = await generateText({ model, prompt, tools });
      const content = [{ type: "image", image: new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]) }];
      return [warnings, await generateText({ model, messages: [{ role: "user", content }], maxRetries: 0 }).catch(({ message }) => message)];
    }, QUESTION);
    assert.deepEqual(warnings, [{ type: "unsupported", feature: "tools" }]);
    assert.match(error, /phi-wasm reads text only/);
  });

  it("takes a model that is loaded already, and unloads its own", async () => {
    await tab.evaluate(() => provider.unload());
    await noWorkers(tab);
    const text = await tab.evaluate(async (address, prompt) => {
      const phi = await Phi.load({ model: address, backend: "cpu", storage: "none" });
      const { text } = await generateText({ model: phiModel(phi), prompt });
      await phi.unload();
      return text;
    }, model, QUESTION);
    assert.equal(text, answer);
  });
});

describe("the package and its libraries", () => {
  it("have types that a strict compiler takes", () => {
    const options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom,dom.iterable,dom.asynciterable"];
    run(folder, TSC, ...options, "types.ts");
  });
});
