// The package's API in Chromium: OpenAI's shapes, streaming, aborting, errors, what may stand for a
// model. As many lines as cases, of one page that has the model.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { noWorkers } from "../../../web/tools/waiting.mjs";
import { ENDLESS, EXACT, GOLDEN } from "../golden.mjs";
import { serveModels } from "../samples.mjs";
import { ANSWERS, MODEL } from "../setting.mjs";
import { openHost } from "./host.mjs";

const [{ messages, answer }] = ANSWERS;

let host, models, tab;
before(async () => {
  [host, models] = await Promise.all([openHost(), serveModels()]);
  writeFileSync(join(host.folder, "words.gguf"), "These are words. ".repeat(999));
  tab = await host.openTab();
});
after(async () => {
  await host?.close();
  models?.close();
});

const load = (tab, model, options = {}) =>
  tab.evaluate(
    async (model, options) => {
      await self.phi?.unload();
      self.phi = await Phi.load({ model, backend: "cpu", storage: "none", ...options });
    },
    model,
    options,
  );

/** A conversation whose prompt is what the reference read. */
const golden = [{ role: "user", content: GOLDEN.prompt }];
/** The reference's answer in two pieces, the first of so many tokens. */
const cut = (tokens) => {
  const at = GOLDEN.answer.split("<", tokens + 1).join("<").length;
  return [GOLDEN.answer.slice(0, at), GOLDEN.answer.slice(at)];
};

describe("a real model", () => {
  it("tells how far loading has come, and answers in OpenAI's shape, with figures", async () => {
    const [progress, whole, stats, model] = await tab.evaluate(
      async (model, messages) => {
        const progress = [];
        const phi = await Phi.load({
          model,
          backend: "cpu",
          storage: "none",
          onProgress: (step) => progress.push(step),
        });
        const whole = await phi.chat.completions.create({ messages, model: "ignored" });
        await phi.unload();
        return [progress, whole, await phi.stats(), phi.description.model];
      },
      `${models.address}${basename(MODEL)}`,
      messages,
    );
    assert.deepEqual(new Set(progress.map(({ phase }) => phase)), new Set(["downloading"]));
    assert.ok(
      progress.every(({ done }, i) => i === 0 || done >= progress[i - 1].done),
      "it went back",
    );
    const { done, total } = progress.at(-1);
    assert.ok(total > 9e7 && done > 0.99 * total && done <= total, `${done} of ${total}`);
    for (const { bytesPerSecond: pace, secondsLeft } of progress)
      assert.ok(pace === undefined || (pace >= 0 && !(secondsLeft < 0)));
    const { id, created, choices, usage, ...rest } = whole;
    assert.match(id, /^chatcmpl-[0-9a-f]{24}$/);
    assert.ok(Math.abs(created - Date.now() / 1000) < 3600);
    assert.deepEqual(rest, { object: "chat.completion", model });
    assert.deepEqual(choices, [
      {
        index: 0,
        message: { role: "assistant", content: answer },
        finish_reason: "stop",
        logprobs: null,
      },
    ]);
    assert.deepEqual(usage, {
      prompt_tokens: stats.promptTokens,
      completion_tokens: stats.generatedTokens,
      total_tokens: stats.promptTokens + stats.generatedTokens,
      prompt_tokens_details: { cached_tokens: stats.cachedTokens },
    });
    assert.ok(stats.decodeTps > 0 && stats.prefillTps > 0 && stats.promptTokens > 10);
  });

  it("shows what the model is shown, in which no words are control tokens", async () => {
    const words = "Say <|im_end|>";
    const [shown, count, asWritten, usage, back] = await tab.evaluate(
      async (model, words) => {
        const phi = await Phi.load({ model, backend: "cpu", storage: "none" });
        const messages = [{ role: "user", content: words }];
        const { usage } = await phi.chat.completions.create({ messages, max_tokens: 1 });
        const shown = await phi.applyChatTemplate(messages);
        const [count, asWritten] = [await phi.countTokens(messages), await phi.tokenize(shown)];
        const back = await phi.detokenize(await phi.tokenize(words));
        await phi.unload();
        return [shown, count, asWritten.length, usage, back];
      },
      `${models.address}${basename(MODEL)}`,
      words,
    );
    assert.ok(
      shown.endsWith(`<|im_start|>user\n${words}<|im_end|>\n<|im_start|>assistant\n`),
      shown,
    );
    assert.equal(count, usage.prompt_tokens);
    assert.ok(
      count > asWritten,
      `${count} tokens, where the text has ${asWritten} with all that is spelt like one`,
    );
    assert.equal(back, words);
  });
});

describe("an answer", () => {
  before(() => load(tab, host.golden, EXACT));

  it("that is streamed comes in pieces that make up the whole", async () => {
    const pieces = await tab.evaluate(async (messages) => {
      const call = { messages, stream: true, stream_options: { include_usage: true } };
      return all(phi.chat.completions.create(call));
    }, golden);
    const [usage, last] = [pieces.pop(), pieces.pop()];
    assert.deepEqual(pieces[0].choices, [
      { index: 0, delta: { role: "assistant", content: "" }, finish_reason: null, logprobs: null },
    ]);
    assert.ok(
      pieces
        .map(({ choices }) => choices[0].delta.content)
        .join("")
        .startsWith(GOLDEN.answer),
    );
    assert.ok(pieces.length > GOLDEN.length, `${pieces.length} pieces`);
    assert.deepEqual(last.choices, [
      { index: 0, delta: {}, finish_reason: "stop", logprobs: null },
    ]);
    assert.deepEqual(usage.choices, []);
    assert.equal(
      usage.usage.total_tokens,
      usage.usage.prompt_tokens + usage.usage.completion_tokens,
    );
    assert.deepEqual(
      [...new Set([...pieces, last, usage].map(({ id, object }) => `${object} ${id}`))].length,
      1,
    );
  });

  it("in a conversation that goes on does not need that read again", async () => {
    const usage = await tab.evaluate(async (messages) => {
      const { choices } = await phi.chat.completions.create({ messages, max_tokens: 8 });
      const more = [...messages, choices[0].message, { role: "user", content: "<7><8><9>" }];
      return (await phi.chat.completions.create({ messages: more, max_tokens: 1 })).usage;
    }, golden);
    const cached = usage.prompt_tokens_details.cached_tokens;
    assert.equal(usage.prompt_tokens, GOLDEN.ids.length + 8 + 3);
    assert.ok(cached > GOLDEN.ids.length && cached < usage.prompt_tokens, JSON.stringify(usage));
  });

  it("is ended by max_tokens and stop, as the engine says", async () => {
    const [begun] = cut(3);
    const [short, newer, stopped] = await tab.evaluate(
      async (messages, stop) => {
        const { create } = phi.chat.completions;
        const requests = [
          { max_tokens: 3 },
          { max_completion_tokens: 2, max_tokens: null },
          { stop },
        ];
        return Promise.all(requests.map((request) => create({ messages, ...request })));
      },
      golden,
      cut(4)[0].slice(begun.length),
    );
    assert.deepEqual(
      [short.choices[0].finish_reason, short.usage.completion_tokens],
      ["length", 3],
    );
    assert.deepEqual(
      [newer.choices[0].finish_reason, newer.usage.completion_tokens],
      ["length", 2],
    );
    assert.deepEqual(
      [stopped.choices[0].finish_reason, stopped.choices[0].message.content],
      ["stop", begun],
    );
  });

  it("that was begun is gone on with", async () => {
    const [begun, rest] = cut(20);
    const [gone, refused] = await tab.evaluate(
      async (messages, begun, max_tokens) => {
        const create = (messages) =>
          phi.chat.completions.create({ messages, max_tokens, continue_final_message: true });
        return [
          await create([...messages, { role: "assistant", content: begun }]),
          await failure(create(messages)),
        ];
      },
      golden,
      begun,
      GOLDEN.length - 20,
    );
    assert.equal(gone.choices[0].message.content, rest);
    assert.equal(refused.code, "bad-option");
  });

  it("that is drawn is the same again with its seed", async () => {
    const [one, same, other] = await tab.evaluate(async (messages) => {
      const request = { messages, temperature: 1.5, top_p: 0.99, max_tokens: 24 };
      const say = async (seed) =>
        (await phi.chat.completions.create({ ...request, seed })).choices[0].message.content;
      return [await say(1), await say(1), await say(2)];
    }, golden);
    assert.equal(one, same);
    assert.notEqual(one, other);
  });

  it("is the same to messages of parts, and to a developer's as to the system's", async () => {
    const [system, developer, user] = await tab.evaluate(async (prompt) => {
      const half = prompt.length / 2;
      const parts = [prompt.slice(0, half), prompt.slice(half)].map((text) => ({
        type: "text",
        text,
      }));
      const said = async (role, content) => {
        const messages = [
          { role, content: "<9>" },
          { role: "user", content },
        ];
        return (await phi.chat.completions.create({ messages, max_tokens: 12 })).choices[0].message
          .content;
      };
      return [
        await said("system", prompt),
        await said("developer", parts),
        await said("user", prompt),
      ];
    }, GOLDEN.prompt);
    assert.equal(developer, system);
    assert.notEqual(developer, user);
  });

  it("by complete goes on with a text, whole and streamed", async () => {
    const [whole, pieces] = await tab.evaluate(
      async (prompt, max_tokens) => {
        const request = { prompt, max_tokens };
        return [await phi.complete(request), await all(phi.complete({ ...request, stream: true }))];
      },
      GOLDEN.prompt,
      GOLDEN.length,
    );
    assert.equal(whole.object, "text_completion");
    assert.equal(whole.choices[0].text, GOLDEN.answer);
    assert.equal(pieces.map(({ choices }) => choices[0].text).join(""), GOLDEN.answer);
    assert.equal(pieces.at(-1).choices[0].finish_reason, "length");
  });

  it("comes to both of two calls at once", async () => {
    const [begun, rest] = cut(9);
    const both = await tab.evaluate(
      (prompts, length) => {
        const said = async ([prompt, given]) =>
          (await phi.complete({ prompt, max_tokens: length - given })).choices[0].text;
        return Promise.all(prompts.map(said));
      },
      [
        [GOLDEN.prompt, 0],
        [GOLDEN.prompt + begun, 9],
      ],
      GOLDEN.length,
    );
    assert.deepEqual(both, [GOLDEN.answer, rest]);
  });

  it("tells how probable its tokens were, and those of a text", async () => {
    const [whole, pieces, echoed, score] = await tab.evaluate(
      async (messages, prompt) => {
        const { create } = phi.chat.completions;
        const request = { messages, max_tokens: 6, logprobs: true, top_logprobs: 2 };
        return [
          await create(request),
          await all(create({ ...request, stream: true })),
          await phi.complete({ prompt, max_tokens: 0, echo: true, logprobs: 1 }),
          await phi.score(prompt),
        ];
      },
      golden,
      GOLDEN.prompt,
    );
    const [{ message, logprobs }] = whole.choices;
    assert.equal(logprobs.content.map(({ token }) => token).join(""), message.content);
    assert.equal(logprobs.content.length, 6);
    for (const { logprob, top_logprobs: top } of logprobs.content) {
      assert.ok(logprob < 0 && top.length === 2, JSON.stringify(top));
      assert.ok(top[0].logprob === logprob && top[1].logprob <= logprob, JSON.stringify(top));
    }
    assert.deepEqual(
      pieces.flatMap(({ choices }) => choices[0].logprobs?.content ?? []),
      logprobs.content,
    );
    const [{ text, finish_reason, logprobs: lists }] = echoed.choices;
    assert.deepEqual([text, finish_reason], [GOLDEN.prompt, "length"]);
    assert.equal(lists.tokens.join(""), GOLDEN.prompt);
    assert.deepEqual(
      lists.text_offset.map((at) => GOLDEN.prompt[at]),
      lists.tokens.map(() => "<"),
    );
    assert.deepEqual([lists.token_logprobs[0], lists.top_logprobs[0]], [null, null]);
    score.tokens.forEach(({ logprob }, at) => {
      assert.ok(Math.abs(logprob - lists.token_logprobs[at]) < 1e-4, `${at}: ${logprob}`);
    });
    const sum = lists.token_logprobs.reduce((sum, one) => sum + one, 0);
    assert.ok(Math.abs(score.logprob - sum) < 1e-3, `${score.logprob} and ${sum}`);
  });

  it("comes several times, each with the seed that follows", async () => {
    const [whole, pieces, alone] = await tab.evaluate(async (messages) => {
      const { create } = phi.chat.completions;
      const request = { messages, temperature: 1.5, seed: 5, max_tokens: 8 };
      const alone = [];
      for (const seed of [5, 6, 7]) alone.push(await create({ ...request, seed }));
      const asked = { ...request, n: 3, stream_options: { include_usage: true } };
      return [await create(asked), await all(create({ ...asked, stream: true })), alone];
    }, golden);
    const said = alone.map(({ choices }) => choices[0].message.content);
    assert.equal(new Set(said).size, 3);
    assert.deepEqual(
      whole.choices.map(({ index, message }) => [index, message.content]),
      [...said.entries()],
    );
    assert.equal(whole.usage.completion_tokens, 24);
    assert.equal(whole.usage.prompt_tokens, alone[0].usage.prompt_tokens);
    const { usage } = pieces.pop();
    assert.equal(usage.completion_tokens, 24);
    const streamed = ["", "", ""];
    for (const { choices } of pieces) streamed[choices[0].index] += choices[0].delta.content ?? "";
    assert.deepEqual(streamed, said);
    const ends = pieces.filter(({ choices }) => choices[0].finish_reason === "length");
    assert.deepEqual(
      ends.map(({ choices }) => choices[0].index),
      [0, 1, 2],
    );
  });

  it("is decided between some", async () => {
    const [decisions, ...refused] = await tab.evaluate(async (messages) => {
      const decide = (choices) => phi.decide({ messages, choices });
      return [
        await decide(["<7>", "<7><8>", "<9>"]),
        await failure(decide([])),
        await failure(decide(["<7>", "<7>"])),
        await failure(phi.score("")),
      ];
    }, golden);
    assert.deepEqual(
      decisions.map(({ choice }) => choice),
      ["<7>", "<7><8>", "<9>"],
    );
    const sum = decisions.reduce((sum, { probability }) => sum + probability, 0);
    assert.ok(Math.abs(sum - 1) < 1e-9 && decisions.every(({ logprob }) => logprob < 0));
    assert.deepEqual(
      refused.map(({ code }) => code),
      ["bad-option", "bad-option", "bad-option"],
    );
  });

  it("counts the tokens that tokenize gives", async () => {
    const [tokens, usage] = await tab.evaluate(async (prompt) => {
      return [await phi.tokenize(prompt), (await phi.complete({ prompt, max_tokens: 1 })).usage];
    }, GOLDEN.prompt);
    assert.deepEqual(tokens, GOLDEN.ids);
    assert.equal(tokens.length, usage.prompt_tokens);
  });

  it("ends where the loop is left early", async () => {
    const [stats, next] = await tab.evaluate(
      async (endless, messages, max_tokens) => {
        const request = {
          messages: [{ role: "user", content: endless }],
          max_tokens: 1500,
          stream: true,
        };
        for await (const { choices } of await phi.chat.completions.create(request)) {
          if (choices[0].delta.content) break;
        }
        const { choices } = await phi.chat.completions.create({ messages, max_tokens });
        return [await phi.stats(), choices[0].message.content];
      },
      ENDLESS,
      golden,
      GOLDEN.length,
    );
    assert.deepEqual([stats.generatedTokens, next], [GOLDEN.length, GOLDEN.answer]);
  });

  it("that is aborted ends its stream with cancelled, and the model answers again", async () => {
    const [pieces, stats, next] = await tab.evaluate(
      async (content, prompt) => {
        const abort = new AbortController();
        const pieces = [];
        const request = { messages: [{ role: "user", content }], max_tokens: 2000, stream: true };
        for await (const piece of await phi.chat.completions.create(request, {
          signal: abort.signal,
        })) {
          pieces.push(piece.choices[0]);
          if (pieces.length === 5) abort.abort();
        }
        const stats = await phi.stats();
        return [pieces, stats, await phi.complete({ prompt, max_tokens: 4 })];
      },
      ENDLESS,
      GOLDEN.prompt,
    );
    assert.equal(pieces.at(-1).finish_reason, "cancelled");
    assert.equal(stats.finish, "cancelled");
    assert.ok(stats.generatedTokens < 2000, `${stats.generatedTokens} tokens`);
    assert.equal(next.choices[0].text, cut(4)[0]);
  });
});

/** Requests at the edge of what OpenAI's clients send → the request that must give the same. */
const EDGES = [
  ["a negative seed is one", { temperature: 1.5, seed: -1 }, { temperature: 1.5, seed: -1 }],
  [
    "half an emoji is U+FFFD",
    { messages: [{ role: "user", content: "Shorten this: hello \\ud83d" }] },
    { messages: [{ role: "user", content: "Shorten this: hello \ufffd" }] },
  ],
  ["half an emoji ends nothing", { stop: "\\ud83d" }, { stop: "\ufffd" }],
];

describe("a request", () => {
  before(() => load(tab, host.tiny));
  for (const [what, request, same] of EDGES) {
    it(`in which ${what}`, async () => {
      const said = await tab.evaluate(
        async (...requests) => {
          const said = [];
          for (const request of requests) {
            // Halves of characters get here as escapes.
            const read = JSON.parse(request.replaceAll("\\\\ud83d", "\\ud83d"));
            const { choices, usage } = await phi.chat.completions.create({
              messages: [{ role: "user", content: "abc" }],
              max_tokens: 8,
              ...read,
            });
            said.push([choices[0].message.content, usage.prompt_tokens]);
          }
          return said;
        },
        JSON.stringify(request),
        JSON.stringify(same),
      );
      assert.deepEqual(said[0], said[1]);
    });
  }

  it("hears of a listener's own error, and goes on", async () => {
    const [error, said] = await tab.evaluate(async () => {
      const heard = new Promise((resolve) =>
        addEventListener(
          "error",
          (event) => {
            event.preventDefault();
            resolve(event.type);
          },
          { once: true },
        ),
      );
      const onPrefill = () => {
        throw new Error("mine");
      };
      const { usage } = await phi.chat.completions.create(
        { messages: [{ role: "user", content: "abc" }], max_tokens: 2 },
        { onPrefill },
      );
      return [await heard, usage.completion_tokens];
    });
    assert.deepEqual([error, said], ["error", 2]);
  });

  it("reaches the engine as it is", async () => {
    const request = JSON.parse(
      readFileSync(new URL("../../golden/requests/tool-calls.json", import.meta.url), "utf8"),
    );
    request.messages.push({ role: "developer", content: "a", refusal: null, extra: { x: 1 } });
    const sent = await tab.evaluate(async (request) => {
      const { postMessage } = Worker.prototype;
      const sent = new Promise((resolve) => {
        Worker.prototype.postMessage = function (asked, ...rest) {
          if (asked.kind === "chat") resolve(asked.request);
          postMessage.call(this, asked, ...rest);
        };
      });
      // Whether the template knows tools is its own affair.
      await failure(phi.chat.completions.create(request));
      Worker.prototype.postMessage = postMessage;
      return sent;
    }, request);
    assert.deepEqual(sent, request);
  });

  it("for a stream is refused before it, whatever else the engine has to do", async () => {
    const { first, error, pieces } = await tab.evaluate(async () => {
      const first = phi.complete({ prompt: "abc", max_tokens: 20 });
      const messages = [{ role: "user", content: "abc" }];
      const ask = (request) => phi.chat.completions.create({ messages, stream: true, ...request });
      const error = await failure(ask({ top_p: 2 }));
      const pieces = await all(ask({ max_tokens: 1 }));
      return { first: (await first).usage.completion_tokens, error, pieces: pieces.length };
    });
    assert.deepEqual([first, error.name, error.code], [20, "InputError", "bad-option"]);
    assert.match(error.message, /^top_p is 2: it must be a number from 0 to 1$/);
    assert.ok(pieces > 1);
  });
});

describe("an abort", () => {
  before(() => load(tab, host.tiny));
  /** More than the engine reads at once. */
  const long = "word ".repeat(300);

  it("while the prompt is read ends it there", async () => {
    const [read, pieces, stats] = await tab.evaluate(async (content) => {
      const abort = new AbortController();
      const read = [];
      const onPrefill = (done, total) => {
        read.push([done, total]);
        abort.abort();
      };
      const pieces = await all(
        phi.chat.completions.create(
          { messages: [{ role: "user", content }], stream: true },
          { signal: abort.signal, onPrefill },
        ),
      );
      return [read, pieces, await phi.stats()];
    }, long);
    assert.ok(read[0][0] < read[0][1], `the first piece was the whole: ${read[0]}`);
    assert.ok(read.length < 3, `it went on: ${read.join(" ")}`);
    assert.equal(pieces.map(({ choices }) => choices[0].delta.content ?? "").join(""), "");
    assert.equal(pieces.at(-1).choices[0].finish_reason, "cancelled");
    assert.deepEqual([stats.finish, stats.generatedTokens], ["cancelled", 0]);
  });

  it("rejects a whole answer, whenever it comes", async () => {
    const failures = await tab.evaluate(async (content) => {
      const ask = (call) =>
        failure(
          phi.chat.completions.create(
            { messages: [{ role: "user", content }], max_tokens: 9 },
            call,
          ),
        );
      const during = new AbortController();
      const waiting = new AbortController();
      const first = phi.complete({ prompt: "abc", max_tokens: 20 });
      const behind = ask({ signal: waiting.signal });
      waiting.abort();
      return [
        await ask({ signal: AbortSignal.abort() }),
        await behind,
        await ask({ signal: during.signal, onPrefill: () => during.abort() }),
        (await first).usage.completion_tokens,
      ];
    }, long);
    assert.equal(failures.pop(), 20);
    for (const error of failures)
      assert.deepEqual(error, {
        name: "PhiError",
        code: "cancelled",
        message: "the answer was cancelled",
        isPhi: true,
      });
  });

  it("while loading rejects, and leaves no worker", async () => {
    const tab = await host.openTab();
    const errors = await tab.evaluate(async (model) => {
      const abort = new AbortController();
      const later = await failure(
        Phi.load({
          model,
          backend: "cpu",
          storage: "none",
          signal: abort.signal,
          onProgress: () => abort.abort(),
        }),
      );
      return [later, await failure(Phi.load({ model, signal: AbortSignal.abort() }))];
    }, host.tiny);
    for (const { name, code } of errors) assert.deepEqual([name, code], ["PhiError", "cancelled"]);
    await noWorkers(tab);
    await tab.close();
  });

  it("by unloading rejects what is under way, and all that comes later", async () => {
    const tab = await host.openTab();
    await load(tab, host.tiny);
    const errors = await tab.evaluate(async () => {
      const ask = () => phi.complete({ prompt: "abc", max_tokens: 1500 });
      const during = failure(ask());
      await phi.unload();
      return [await during, await failure(ask())];
    });
    for (const { code, message } of errors)
      assert.deepEqual([code, message], ["cancelled", "the model was unloaded"]);
    await tab.close();
  });
});

describe("loading", () => {
  it("says why the CPU computes", async () => {
    const notices = await tab.evaluate(async (model) => {
      const notices = [];
      await (
        await Phi.load({ model, storage: "none", onNotice: (sentence) => notices.push(sentence) })
      ).unload();
      return notices;
    }, host.tiny);
    assert.match(notices.join(), /^The CPU answers: /);
  });

  it("takes files, and handles of a folder or a file", async () => {
    const tokens = await tab.evaluate(async (address) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked", {
        create: true,
      });
      const files = [];
      for (const name of [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
      ]) {
        const bytes = await (await fetch(address + name)).arrayBuffer();
        const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
        await stream.write(bytes);
        await stream.close();
        files.push(new File([bytes], name));
      }
      const said = [];
      for (const model of [address, files, folder]) {
        const phi = await Phi.load({ model, backend: "cpu", storage: "none" });
        said.push((await phi.complete({ prompt: "abc", max_tokens: 8 })).choices[0].text);
        await phi.unload();
      }
      const aFile = await folder.getFileHandle("config.json");
      return {
        said,
        failure: await failure(Phi.load({ model: aFile, backend: "cpu", storage: "none" })),
      };
    }, host.tiny);
    assert.equal(new Set(tokens.said).size, 1, tokens.said.join(" | "));
    assert.equal(tokens.failure.name, "ModelError", JSON.stringify(tokens.failure));
  });
});

describe("a model that is stored", () => {
  it("is loaded by its entry in the list, and nobody picks its files again", async () => {
    const { said, storage, gone, begun, left } = await tab.evaluate(async (address) => {
      const names = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
      const files = await Promise.all(
        names.map(async (name) => new File([await (await fetch(address + name)).blob()], name)),
      );
      const said = [];
      const use = async (model) => {
        const phi = await Phi.load({ model, backend: "cpu" });
        said.push((await phi.complete({ prompt: "abc", max_tokens: 8 })).choices[0].text);
        const { storage } = phi.description;
        await phi.unload();
        return storage;
      };
      await use(files);
      const [entry] = await Phi.listModels();
      const storage = await use(entry);
      await Phi.deleteModel(entry.id);
      const [gone, begun] = [
        await failure(use(entry)),
        await failure(use({ ...entry, complete: false })),
      ];
      return { said, storage, gone, begun, left: await Phi.listModels() };
    }, host.tiny);
    assert.deepEqual(left, []);
    assert.equal(storage, "opfs");
    assert.equal(said[1], said[0]);
    assert.deepEqual([gone?.name, gone?.code], ["NetworkError", "not-found"], gone?.message);
    assert.match(gone.message, /not all in the browser's storage/);
    assert.equal(begun?.code, "bad-option");
    assert.match(begun.message, /choose them again/);
  });
});

/**
 * What is asked → the class, the code and the sentence of the error. What the package refuses
 * before any engine sees it is tested without a browser (tests/web/requests.test.mjs), and what
 * the engine refuses of a request natively (crate/openai/tests.rs).
 */
const ERRORS = [
  [
    "a file that is not there",
    { load: "nowhere.gguf" },
    ["NetworkError", "not-found", /nowhere\.gguf is not there/],
  ],
  ["a file that is no model", { load: "words.gguf" }, ["ModelError", "not-a-model", /words\.gguf/]],
  [
    "a prompt that is too long",
    { messages: [{ role: "user", content: "a".repeat(5000) }] },
    ["InputError", "prompt-too-long", /\d+ tokens/],
  ],
  ["no messages", { messages: null }, ["InputError", "bad-option", /messages is not a list/]],
  ["an empty conversation", { messages: [] }, ["InputError", "bad-option", /^messages is empty/]],
  [
    "null among messages",
    { messages: [{ role: "user", content: "Hi" }, null] },
    ["InputError", "bad-option", /^messages\[1\] is null: give a \{ role, content \}$/],
  ],
  [
    "a message without content",
    { messages: [{ role: "user", content: null }] },
    ["InputError", "bad-option", /^messages\[0\] has no content/],
  ],
  [
    "a message that is a number",
    { messages: [{ role: "user", content: 7 }] },
    ["InputError", "bad-option", /^messages\[0\]\.content is neither text nor a list/],
  ],
  [
    "a message without a role",
    { messages: [{ content: "Hi" }] },
    ["InputError", "bad-option", /^messages\[0\] has no role/],
  ],
  [
    "a part without a text",
    { messages: [{ role: "user", content: [{ type: "text" }] }] },
    ["InputError", "bad-option", /^messages\[0\]\.content has a part without a text/],
  ],
  [
    "an unknown option",
    { temprature: 1 },
    ["InputError", "bad-option", /^temprature is no option of chat\.completions\.create/],
  ],
  [
    "an image",
    {
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }],
    },
    ["InputError", "bad-option", /reads text only/],
  ],
];

describe("an error", () => {
  before(() => load(tab, host.tiny));
  for (const [what, { load: model, ...request }, [name, code, sentence]] of ERRORS) {
    it(`of ${what}`, async () => {
      const address = model && `${host.tiny}${model}`;
      const error = await tab.evaluate(
        (address, request) => {
          const asked = { messages: [{ role: "user", content: "abc" }], max_tokens: 2, ...request };
          return failure(
            address === null
              ? phi.chat.completions.create(asked)
              : Phi.load({ model: address, backend: "cpu", storage: "none" }),
          );
        },
        address ?? null,
        request,
      );
      assert.deepEqual(
        [error?.name, error?.code, error?.isPhi],
        [name, code, true],
        error?.message,
      );
      assert.match(error.message, sentence);
    });
  }

  it("of a call that is given nothing, or something else, is the package's own", async () => {
    const errors = await tab.evaluate(async () => {
      const id = "0".repeat(32);
      const calls = [
        () => Phi.load(),
        () => Phi.load({ model: "./m.gguf", wasmUrl: () => "http://" }),
        () => phi.chat.completions.create(),
        () => phi.chat.completions.create({ messages: [{ role: "user", content: 1n }] }),
        () =>
          phi.chat.completions.create(
            { messages: [{ role: "user", content: "a" }] },
            { signal: "now" },
          ),
        () => phi.complete({}),
        () => phi.tokenize(7),
        () => phi.bench(0, 2),
        () => Phi.deleteModel(),
        () => Phi.deleteModel("https://huggingface.co/org/name"),
        () => Phi.exportModel("model.gguf"),
        () => Phi.checkModel(id),
        () => Phi.checkModel(id, { onprogress: () => {} }),
      ];
      const errors = [];
      for (const call of calls) errors.push(await failure(Promise.resolve().then(call)));
      return errors;
    });
    const sentences = [
      /^Phi\.load takes an object of options, and was given undefined$/,
      /^http:\/\/ is not an address/,
      /^chat\.completions\.create takes an object of options/,
      /^the request is not plain data/,
      /^signal is "now": it must be an AbortSignal$/,
      /^there is no prompt/,
      /^the text is 7: give a text$/,
      /^promptTokens is 0: it must be a whole number from 1 to 4294967295$/,
      /^undefined is no stored model's id: give one that Phi\.listModels\(\) tells$/,
      /^https:\/\/huggingface\.co\/org\/name is an address, and no stored model's id/,
      /^model\.gguf is an address/,
      /is not stored: load it first$/,
      /^onprogress is no option of Phi\.checkModel/,
    ];
    for (const [i, sentence] of sentences.entries()) {
      assert.match(errors[i]?.message ?? "none", sentence);
      assert.ok(errors[i].isPhi, sentence);
    }
  });

  it("ends a stream, too", async () => {
    const error = await tab.evaluate(() =>
      failure(
        all(
          phi.chat.completions.create({
            messages: [{ role: "user", content: "a".repeat(5000) }],
            stream: true,
          }),
        ),
      ),
    );
    assert.equal(error?.code, "prompt-too-long");
  });
});

describe("a model that is kept", () => {
  it("is listed, checked, exported and deleted", async () => {
    const seen = await tab.evaluate(async (model) => {
      const phi = await Phi.load({ model, backend: "cpu" });
      const { storage } = phi.description;
      await phi.unload();
      const listed = await Phi.listModels();
      const [{ id }] = listed;
      const progress = [];
      const checked = await Phi.checkModel(id, { onProgress: (step) => progress.push(step) });
      const tar = new Uint8Array(await new Response(await Phi.exportModel(id)).arrayBuffer());
      const { usage, ...estimate } = await Phi.storageEstimate();
      await Phi.deleteModel(id);
      const answerOf = async (model) => {
        const phi = await Phi.load({ model, backend: "cpu", storage: "none" });
        const { choices } = await phi.chat.completions.create({
          messages: [{ role: "user", content: "Hello" }],
          max_tokens: 8,
        });
        await phi.unload();
        return choices[0].message.content;
      };
      const archive = new File([tar], "model.tar");
      const answers = [
        await answerOf(model),
        await answerOf(archive),
        await answerOf([archive]),
        await answerOf(new Blob([tar])),
      ];
      const cut = await failure(Phi.load({ model: archive.slice(0, tar.length / 2) }));
      const changed = await failure(
        Phi.load({ model: new Blob([tar.slice(0, 100), "x", tar.slice(101)]) }),
      );
      const gone = await failure(Phi.checkModel(id));
      return {
        storage,
        listed,
        checked,
        phases: [...new Set(progress.map(({ phase }) => phase))],
        tar: tar.length,
        answers,
        broken: [cut.code, changed.code],
        usage,
        estimate,
        left: await Phi.listModels(),
        gone,
      };
    }, host.tiny);
    const [{ id, source, bytes, storedBytes, complete }] = seen.listed;
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.deepEqual(
      [seen.storage, seen.listed.length, source, complete],
      ["opfs", 1, host.tiny, true],
    );
    assert.ok(bytes > 500_000 && bytes === storedBytes, `${storedBytes} of ${bytes}`);
    assert.deepEqual(seen.checked, { bad: 0, repaired: 0 });
    assert.deepEqual(seen.phases, ["checking"]);
    assert.ok(seen.tar > bytes, `${seen.tar} bytes exported`);
    assert.deepEqual(
      seen.answers,
      seen.answers.map(() => seen.answers[0]),
    );
    assert.deepEqual(seen.broken, ["truncated", "malformed"]);
    assert.ok(
      seen.usage > bytes && seen.estimate.quota > 0 && seen.estimate.kind === "opfs",
      JSON.stringify(seen.estimate),
    );
    assert.deepEqual([seen.left, seen.gone.code], [[], "not-found"]);
  });
});
