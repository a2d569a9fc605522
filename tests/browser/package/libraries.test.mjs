// The React hooks and the AI SDK's provider, each with the real library, bundled with the packed
// package, in Chromium.

import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { launch, openTab } from "../../../web/tools/browser.mjs";
import { serveFolder } from "../../../web/tools/serve.mjs";
import { noWorkers } from "../../../web/tools/waiting.mjs";
import { ENDLESS, EXACT, GOLDEN, makeGoldenModel } from "../golden.mjs";
import { compile, nodeProgram, project, run, serveModels } from "../samples.mjs";
import { MODEL } from "../setting.mjs";
import { makeTinyModel } from "../tiny.mjs";

const { prompt: QUESTION, answer: ANSWER, length: LENGTH } = GOLDEN;

let folder, site, golden, tiny, models, words, large, browser;
before(async () => {
  [golden, tiny] = [makeGoldenModel(), makeTinyModel()];
  const folders = [golden, tiny].map(({ folder }) => serveFolder(folder, { shared: true }));
  const serving = [...folders, serveModels()];
  [browser, folder, models, words, large] = await Promise.all([
    launch("chromium without WebGPU"),
    built(),
    ...serving,
  ]);
  site = await serveFolder(folder);
});
after(async () => {
  await browser?.close();
  site?.close();
  for (const open of [models, words, large]) open?.close();
  for (const model of [golden, tiny]) model?.remove();
});

/** Under the Node.js that `ai` 7 asks for: on an older one npm takes `ai` 6. */
async function built() {
  const folder = await project("libraries", { node: 22 });
  const options = ["--bundle", "--format=esm", "--splitting", "--jsx=automatic", "--outdir=dist"];
  await run(folder, join(folder, "node_modules/.bin/esbuild"), "react.jsx", "ai.js", ...options);
  return folder;
}

async function open(file) {
  const tab = await openTab(browser);
  const complaints = [];
  tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  tab.on("pageerror", (error) => complaints.push(error.message));
  const wishes = { model: models.address, large: `${large.address}${basename(MODEL)}` };
  await tab.goto(`${site.address}${file}?${new URLSearchParams(wishes)}`);
  return { tab, complaints };
}

describe("the React hooks", () => {
  let tab, complaints;
  before(async () => ({ tab, complaints } = await open("react.html")));

  const until = (status) => tab.waitForSelector(`main[data-status=${status}][data-chat=idle]`);
  const said = () =>
    tab.$$eval("main p", (lines) => lines.map((line) => [line.className, line.textContent]));
  const output = () => tab.$eval("output", (line) => JSON.parse(line.textContent));
  /** From here on, what the hooks are in is seen anew. */
  const watch = () => tab.evaluate(() => (self.seen = []));
  const send = async (question) => {
    await watch();
    await tab.type("input", question);
    await tab.keyboard.press("Enter");
  };
  const ended = () =>
    tab.waitForFunction(() => seen.includes("ready reading") && seen.at(-1) === "ready idle");
  /** The question was answered as the reference does, and to its end. */
  const isAnswered = async () => {
    const [question, [role, text], ...others] = await said();
    assert.deepEqual([question, role, others], [["user", QUESTION], "assistant", []]);
    assert.ok(text.startsWith(ANSWER), text);
    assert.equal((await output()).finish, "stop");
  };
  /**
   * Has the page itself press a button as soon as something is there: what it is to end might be
   * over before we hear of it.
   */
  const pressAtOnce = (button, selector) =>
    tab.evaluate(
      (button, selector) => {
        const look = () => {
          if (!document.querySelector(selector)) return;
          observer.disconnect();
          document.querySelector(button).click();
        };
        const observer = new MutationObserver(look);
        observer.observe(document.body, { attributes: true, childList: true, subtree: true });
      },
      button,
      selector,
    );

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
    await watch();
    await pressAtOnce("#pause", "progress[value]:not([value='0'])");
    await tab.click("#load-large");
    await tab.waitForFunction(() => seen.at(-1) === "idle idle");
    await noWorkers(tab);
    assert.deepEqual(await tab.evaluate(() => seen), ["loading idle", "idle idle"]);
  });

  it("load, and answer piece by piece", async () => {
    await watch();
    await tab.click("#load");
    await until("ready");
    assert.deepEqual(await tab.evaluate(() => seen), ["loading idle", "ready idle"]);
    await send(QUESTION);
    await ended();
    await isAnswered();
    // Past the context that it was first trained with, this model reads all anew, which may be too
    // short to be shown.
    const states = await tab.evaluate(() => seen);
    assert.deepEqual(states.slice(0, 2), ["ready reading", "ready answering"]);
    assert.deepEqual(states.slice(-2), ["ready answering", "ready idle"]);
  });

  it("answer again", async () => {
    await watch();
    await tab.click("#again");
    await ended();
    await isAnswered();
  });

  it("say that an answer is under way, and go on with it", async () => {
    await tab.click("#clear");
    await pressAtOnce("#again", "p.assistant");
    await send(QUESTION);
    await ended();
    await isAnswered();
    const { code, message } = await tab.evaluate(() => self.refused);
    assert.equal(code, "bad-option");
    assert.match(message, /under way/);
  });

  it("stop an answer, and keep what was said", async () => {
    await tab.click("#clear");
    await pressAtOnce("#stop", "p.assistant");
    await send(ENDLESS);
    await ended();
    const [, [role, text]] = await said();
    assert.deepEqual([role, (await output()).finish], ["assistant", "cancelled"]);
    assert.ok(text.length > 0, text);
  });

  it("take another conversation while one is answered", async () => {
    await tab.click("#clear");
    await pressAtOnce("#clear", "p.assistant");
    await send(ENDLESS);
    await ended();
    assert.deepEqual(await said(), []);
    await send(QUESTION);
    await ended();
    await isAnswered();
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
    // Files that are missing, or that a model may lack, are what the browser itself tells.
    assert.deepEqual(
      complaints.filter((text) => !text.includes("404")),
      [],
    );
  });
});

describe("the AI SDK's provider", () => {
  let tab;
  before(async () => {
    ({ tab } = await open("ai.html"));
    await tab.waitForSelector("body[data-outcome]");
    await tab.evaluate(
      (address, exact) => {
        self.provider = createPhi({ backend: "cpu", storage: "none", ...exact });
        self.model = provider(address);
      },
      models.address,
      EXACT,
    );
  });

  it("loads nothing before it is asked", () => assert.equal(tab.workers().length, 0));

  it("generates a text", async () => {
    const result = await tab.evaluate(async (prompt) => {
      const { text, finishReason, usage, response } = await generateText({ model, prompt });
      return { text, finishReason, usage, modelId: response.modelId };
    }, QUESTION);
    assert.ok(result.text.startsWith(ANSWER), result.text);
    assert.equal(result.finishReason, "stop");
    assert.equal(result.usage.inputTokens, GOLDEN.ids.length);
    assert.ok(result.usage.outputTokens > LENGTH, JSON.stringify(result.usage));
    assert.equal(result.usage.totalTokens, result.usage.inputTokens + result.usage.outputTokens);
    assert.equal(result.modelId, models.address);
  });

  it("streams a text, of a conversation", async () => {
    const { pieces, whole, finishReason, usage } = await tab.evaluate(
      async (prompt, maxOutputTokens) => {
        const turns = [
          ["user", "<8>"],
          ["assistant", "<7>"],
          ["user", prompt],
        ];
        const messages = turns.map(([role, content]) => ({ role, content }));
        const result = streamText({ model, system: "<9>", messages, maxOutputTokens });
        const pieces = [];
        for await (const piece of result.textStream) pieces.push(piece);
        const { text } = await generateText({
          model,
          prompt: `<4><9><8><7>${prompt}`,
          maxOutputTokens,
        });
        return {
          pieces,
          whole: text,
          finishReason: await result.finishReason,
          usage: await result.usage,
        };
      },
      QUESTION,
      LENGTH,
    );
    assert.equal(pieces.join(""), whole);
    assert.ok(pieces.length > LENGTH / 2, `${pieces.length} pieces`);
    assert.equal(finishReason, "length");
    assert.deepEqual([usage.inputTokens, usage.outputTokens], [GOLDEN.ids.length + 4, LENGTH]);
  });

  it("keeps to the options of a call", async () => {
    const [exact, weakened] = await tab.evaluate(
      async (prompt, maxOutputTokens) => {
        const said = async (repetitionPenalty) => {
          const call = {
            model,
            prompt,
            maxOutputTokens,
            temperature: 0,
            providerOptions: { phi: { repetitionPenalty } },
          };
          const { text, finishReason, usage } = await generateText(call);
          return [text, finishReason, usage.outputTokens];
        };
        return [await said(1), await said(2)];
      },
      QUESTION,
      LENGTH,
    );
    assert.deepEqual(exact, [ANSWER, "length", LENGTH]);
    assert.notEqual(weakened[0], ANSWER);
  });

  it("ends an answer by a signal", async () => {
    const { aborted, text, whole, next } = await tab.evaluate(
      async (address, exact, endless, prompt, maxOutputTokens) => {
        const abort = new AbortController();
        let aborted = false;
        let text = "";
        const onAbort = () => (aborted = true);
        const { textStream } = streamText({
          model,
          prompt: endless,
          maxOutputTokens: 1900,
          abortSignal: abort.signal,
          onAbort,
        });
        for await (const piece of textStream) {
          text += piece;
          abort.abort();
        }
        const phi = await Phi.load({ model: address, backend: "cpu", storage: "none", ...exact });
        const later = new AbortController();
        const { completions } = phi.chat;
        const { create } = completions;
        completions.create = (request, call) =>
          create(request, { ...call, onPrefill: () => later.abort() });
        const call = {
          model: phiModel(phi),
          prompt: prompt.repeat(9),
          abortSignal: later.signal,
          maxRetries: 0,
        };
        const whole = await generateText(call).catch(({ name }) => name);
        await phi.unload();
        return {
          aborted,
          text,
          whole,
          next: (await generateText({ model, prompt, maxOutputTokens })).text,
        };
      },
      models.address,
      EXACT,
      ENDLESS,
      QUESTION,
      LENGTH,
    );
    assert.ok(aborted && text.length > 0, text);
    assert.equal(whole, "AbortError");
    assert.equal(next, ANSWER);
  });

  it("gives objects of their schema, whatever the model would rather say", async () => {
    const objects = await tab.evaluate(async (address) => {
      const properties = { name: { type: "string", maxLength: 8 }, isOld: { type: "boolean" } };
      const bounds = { required: ["name", "isOld"], additionalProperties: false };
      const schema = jsonSchema({ type: "object", properties, ...bounds });
      // A character is a token, and its weights are random.
      const call = { model: provider(address), prompt: "Hi", temperature: 2, seed: 7 };
      const { object } = await generateObject({ ...call, schema });
      const { output } = await generateText({ ...call, output: Output.object({ schema }) });
      const options = ["red", "green"];
      const choice = await generateText({ ...call, output: Output.choice({ options }) });
      return { object, output, choice: choice.output };
    }, words.address);
    assert.equal(typeof objects.object.name + typeof objects.object.isOld, "stringboolean");
    assert.deepEqual(objects.output, objects.object);
    assert.ok(["red", "green"].includes(objects.choice), objects.choice);
  });

  it("says what it cannot do", async () => {
    const [untold, error] = await tab.evaluate(async (prompt) => {
      const tools = {
        look: tool({
          description: "Looks",
          inputSchema: jsonSchema({ type: "object", properties: {} }),
        }),
      };
      // This model's template knows none.
      const called = generateText({ model, prompt, tools, maxRetries: 0 });
      const content = [{ type: "image", image: new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]) }];
      const asked = generateText({ model, messages: [{ role: "user", content }], maxRetries: 0 });
      return Promise.all([called, asked].map((one) => one.catch(({ message }) => message)));
    }, QUESTION);
    assert.match(untold, /knows nothing of tools/);
    assert.match(error, /phi-wasm reads text only/);
  });

  it("takes a model that is loaded already, and unloads its own", async () => {
    await tab.evaluate(() => provider.unload());
    await noWorkers(tab);
    const text = await tab.evaluate(
      async (address, exact, prompt, maxOutputTokens) => {
        const phi = await Phi.load({ model: address, backend: "cpu", storage: "none", ...exact });
        const { text } = await generateText({ model: phiModel(phi), prompt, maxOutputTokens });
        await phi.unload();
        return text;
      },
      models.address,
      EXACT,
      QUESTION,
      LENGTH,
    );
    assert.equal(text, ANSWER);
  });

  it("can be imported on a server, where asking rejects by name", async () => {
    const script = `import { generateText } from "ai";
      import { createPhi } from "phi-wasm/ai-sdk";
      const model = createPhi()("/model.gguf");
      await generateText({ model, prompt: "Hello" }).catch(({ code }) => console.log(code));`;
    const { stdout } = await run(
      folder,
      await nodeProgram(22),
      "--input-type=module",
      "--eval",
      script,
    );
    assert.equal(stdout.trim(), "no-browser");
  });
});

describe("the package and its libraries", () => {
  it("have types that a strict compiler takes", () => compile(folder, "types.ts"));
});
