// What callers give, before any engine sees it: what is refused, in which words, and what the rest
// becomes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { resolveModel } from "../../web/src/model.ts";
import {
  chatAsked,
  chatShape,
  completionAsked,
  messagesOf,
  optionsOf,
  textShape,
  usageOf,
} from "../../web/src/openai.ts";
import * as options from "../../web/src/options.ts";

/** What is refused: a call, and the sentence that it gets. */
const REFUSED = {
  "no options": [
    () => options.ofLoad(),
    /^Phi\.load takes an object of options, and was given undefined$/,
  ],
  "a list of options": [() => options.ofLoad([]), /and was given a list$/],
  "a model's unknown option": [
    () => options.ofLoad({ model: "m", contextlength: 1024 }),
    /^contextlength is no option of Phi\.load: check its spelling/,
  ],
  "an option that every object has": [
    () => options.ofLoad({ model: "m", toString: () => "" }),
    /^toString is no option/,
  ],
  "a model's impossible option": [
    () => options.ofLoad({ model: "m", bits: 3 }),
    /^bits is 3: it must be 4, 5, 8, 16 or 32$/,
  ],
  "a context of no tokens": [
    () => options.ofLoad({ model: "m", contextLength: 0 }),
    /^contextLength is 0: it must be a whole number from 1 to 4294967295$/,
  ],
  "a header that cannot be sent": [
    () => options.ofLoad({ model: "m", headers: { "a name": "x" } }),
    /^headers is an object: it must be an object of texts, with names/,
  ],
  "a header that would be two": [
    () => options.ofLoad({ model: "m", headers: { name: "x\ny: z" } }),
    /^headers is an object/,
  ],
  "a signal that is none": [
    () => options.ofCall({ signal: "now" }),
    /^signal is "now": it must be an AbortSignal$/,
  ],
  "a check's unknown option": [
    () => options.ofCheck({ onprogress() {} }),
    /^onprogress is no option of Phi\.checkModel/,
  ],
  "a tool that is none": [
    () => options.ofPrompt({ tools: ["f"] }),
    /^tools is a list: it must be a list of objects/,
  ],
  "no id": [
    () => options.idOf(),
    /^undefined is no stored model's id: give one that Phi\.listModels\(\) tells$/,
  ],
  "an address for an id": [
    () => options.idOf("https://huggingface.co/org/name"),
    /^https:\/\/huggingface\.co\/org\/name is an address, and no stored model's id/,
  ],
  "a file for an id": [() => options.idOf("model.gguf"), /^model\.gguf is an address/],
  "a text that is none": [() => options.requireText(7), /^the text is 7: give a text$/],
  "a long text in its place": [
    () => options.idOf("x".repeat(50)),
    /^"x{40}…" is no stored model's id/,
  ],
  "tokens that are a text": [
    () => options.tokensOf("1 2"),
    /^the tokens are "1 2": give a list of ids$/,
  ],
  "half a token": [() => options.tokensOf([1, 1.5]), /^1\.5 is no token's id/],
  "no tokens to time": [
    () => options.requireCounts({ promptTokens: 0, generateTokens: 2 }),
    /^promptTokens is 0: it must be a whole number from 1 to 4294967295$/,
  ],
  "no request": [() => chatAsked(), /^chat\.completions\.create takes an object of options/],
  "no prompt": [() => completionAsked({}), /^there is no prompt/],
  "an unknown option": [
    () => chatAsked({ temprature: 1 }),
    /^temprature is no option of chat\.completions\.create/,
  ],
  "no tokens": [
    () => chatAsked({ max_tokens: 0 }),
    /^max_tokens is 0: it must be a whole number, 1 or more$/,
  ],
  "an option outside its range": [
    () => chatAsked({ top_p: 2 }),
    /^top_p is 2: it must be a number from 0 to 1$/,
  ],
  "an option that is no number": [
    () => chatAsked({ temperature: Infinity }),
    /^temperature is Infinity: it must be a number, 0 or more$/,
  ],
  "a temperature in words": [
    () => chatAsked({ temperature: "hot" }),
    /^temperature is "hot": it must be a number, 0 or more$/,
  ],
  "half a seed": [
    () => chatAsked({ seed: 0.5 }),
    /^seed is 0\.5: it must be a whole number of 64 bits$/,
  ],
  "stop texts that are none": [
    () => chatAsked({ stop: ["a", 1] }),
    /^stop is a list: it must be a text or a list of texts$/,
  ],
  "a bias of no token": [() => chatAsked({ logit_bias: { the: 1 } }), /^logit_bias is an object/],
  tools: [
    () => chatAsked({ tools: [{ type: "function" }] }),
    /^tools is not something that this engine can do/,
  ],
  "two answers": [() => chatAsked({ n: 2 }), /^n is 2: it must be 1/],
  JSON: [
    () => chatAsked({ response_format: { type: "json_object" } }),
    /^response_format "json_object" is not known/,
  ],
  "an unknown role": [
    () => messagesOf([{ role: "critic", content: "Hi" }]),
    /^messages\[0\]\.role is "critic": it must be one of system, developer, user, assistant, tool$/,
  ],
  "what cannot be written down": [
    () => messagesOf([{ role: "user", content: 1n }]),
    /^messages\[0\] is not plain data/,
  ],
  "calls of tools that are no list": [
    () => messagesOf([{ role: "assistant", tool_calls: {} }]),
    /^messages\[0\]\.tool_calls is not a list/,
  ],
  "calls of tools that are none": [
    () => messagesOf([{ role: "assistant", tool_calls: [{ id: "c" }] }]),
    /^messages\[0\]\.tool_calls\[0\] calls no function/,
  ],
  "a call of no name": [
    () => messagesOf([{ role: "assistant", tool_calls: [{ function: { name: 1 } }] }]),
    /^messages\[0\]\.tool_calls\[0\]\.function\.name is 1: it must be a text$/,
  ],
  "a call in OpenAI's older form": [
    () => messagesOf([{ role: "assistant", function_call: { name: "f" } }]),
    /^messages\[0\]\.function_call is OpenAI's older form/,
  ],
  sound: [() => messagesOf([{ role: "user", audio: {} }]), /^messages\[0\]\.audio is sound/],
  "a model that is nothing": [() => resolveModel(null, {}), /neither an address nor files/],
  "an empty address": [() => resolveModel("", {}), /neither an address nor files/],
  "an address that is none": [
    () => resolveModel("http://", {}),
    /^"http:\/\/" is not a web address/,
  ],
  "an address of bytes in the page": [
    () => resolveModel("data:,GGUF", {}),
    /^"data:,GGUF" is not a web address: .*, or the file itself$/,
  ],
  "a model that came from files and is not all stored": [
    () => resolveModel({ id: "0", name: "own", storedBytes: 1, source: "", complete: false }, {}),
    /^own is not all stored, and it came from files: choose them again$/,
  ],
};

describe("what is refused", () => {
  for (const [what, [call, message]] of Object.entries(REFUSED)) {
    it(`is ${what}`, () =>
      assert.rejects(async () => call(), { name: "InputError", code: "bad-option", message }));
  }
});

describe("what is taken", () => {
  it("is without what is null or undefined, which is as good as nothing", () => {
    assert.deepEqual(options.ofLoad({ model: "m", bits: null, kv: undefined }), { model: "m" });
    const empty = { temperature: null, stop: null, seed: null, logit_bias: null, n: null };
    assert.deepEqual(chatAsked({ messages: [], ...empty, tools: null }), { messages: [] });
  });

  it("is without what asks for nothing", () => {
    assert.deepEqual(chatAsked({ messages: [], tools: [], tool_choice: "none" }), { messages: [] });
  });

  it("is an entry of the list of stored models, where it lies or where it came from", async () => {
    const model = { id: "0", name: "n", storedBytes: 1, source: "https://a.example/m.gguf" };
    const [there, begun] = await Promise.all(
      [true, false].map((complete) => resolveModel({ ...model, complete }, {})),
    );
    assert.deepEqual(there, { model: { stored: "0", name: model.source } });
    assert.deepEqual(begun, { model: model.source, sha256: {} });
  });

  it("is an address as the page would read it", async () => {
    const { model } = await resolveModel("../models/a.gguf", {});
    assert.equal(model, "https://page.example/models/a.gguf");
  });

  it("is a token's id, in whatever lists them", () => {
    assert.deepEqual(options.tokensOf(new Set([1, 2])), Uint32Array.of(1, 2));
  });
});

/** What a request says, in the engine's words. */
const SAID = [
  [{}, { sampling: {} }],
  [{ temperature: 0 }, { sampling: { temperature: 0 } }],
  [{ max_tokens: 3 }, { maxTokens: 3, sampling: {} }],
  [
    { max_tokens: 3, max_completion_tokens: 2 },
    { maxTokens: 2, sampling: {} },
  ],
  [
    { max_tokens: 3, max_completion_tokens: null },
    { maxTokens: 3, sampling: {} },
  ],
  [{ max_tokens: Infinity }, { maxTokens: 2 ** 32 - 1, sampling: {} }],
  [{ temperature: 1, top_p: 0 }, { sampling: { temperature: 1, topK: 1, topP: 1 } }],
  [{ top_k: -1 }, { sampling: { topK: 0 } }],
  [{ top_k: 5, top_p: 0.5, min_p: 0.1 }, { sampling: { topK: 5, topP: 0.5, minP: 0.1 } }],
  [{ seed: 5 }, { sampling: { seed: 5 } }],
  [{ seed: 0 }, { sampling: { seed: 0 } }],
  [{ seed: -1 }, { sampling: { seed: Number.MAX_SAFE_INTEGER } }],
  [{ stop: "a" }, { stop: ["a"], sampling: {} }],
  [{ stop: ["a", "b"] }, { stop: ["a", "b"], sampling: {} }],
  [{ logit_bias: { 7: -Infinity } }, { sampling: { logitBias: { 7: -Number.MAX_VALUE } } }],
  [
    { repetition_penalty: 1.1, presence_penalty: 1, frequency_penalty: 2 },
    { sampling: { repetitionPenalty: 1.1, presencePenalty: 1, frequencyPenalty: 2 } },
  ],
  [{ continue_final_message: true }, { continueFinal: true, sampling: {} }],
];

describe("a request in the engine's words", () => {
  for (const [request, said] of SAID) {
    it(`is ${JSON.stringify(said)} for ${JSON.stringify(request)}`, () =>
      assert.deepEqual(optionsOf(chatAsked({ messages: [], ...request })), said));
  }
});

const call = (written) => [
  { id: "c", type: "function", function: { name: "f", arguments: written } },
];

/** Messages as clients send them, and as templates take them. */
const MESSAGES = [
  [
    "a developer is the system",
    { role: "developer", content: "a" },
    { role: "system", content: "a" },
  ],
  [
    "parts of text are one text",
    {
      role: "user",
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
    },
    { role: "user", content: "ab" },
  ],
  [
    "other parts stay, for the engine to refuse",
    { role: "user", content: [{ type: "image_url" }] },
    { role: "user", content: [{ type: "image_url" }] },
  ],
  [
    "a refusal is what was said",
    { role: "assistant", content: null, refusal: "no" },
    { role: "assistant", content: "no" },
  ],
  [
    "no content and no calls are nothing",
    { role: "assistant", content: null, tool_calls: [] },
    { role: "assistant" },
  ],
  [
    "other fields stay",
    { role: "user", content: "a", name: "n", extra: { x: 1 } },
    { role: "user", content: "a", name: "n", extra: { x: 1 } },
  ],
  [
    "arguments are the objects that JSON says",
    { role: "assistant", tool_calls: call('{"a":1}') },
    { role: "assistant", tool_calls: call({ a: 1 }) },
  ],
  [
    "no arguments are none",
    { role: "assistant", tool_calls: call("") },
    { role: "assistant", tool_calls: call({}) },
  ],
  [
    "arguments that are no JSON stay",
    { role: "assistant", tool_calls: call('{"a":') },
    { role: "assistant", tool_calls: call('{"a":') },
  ],
  [
    "arguments that are no object stay",
    { role: "assistant", tool_calls: call("[1]") },
    { role: "assistant", tool_calls: call("[1]") },
  ],
  ["what is no message is the engine's to refuse", null, null],
];

describe("a message, in which", () => {
  for (const [what, given, taken] of MESSAGES) {
    it(what, () => assert.deepEqual(messagesOf([given]), [taken]));
  }

  it("nothing is changed for who gave it", () => {
    const file = new URL("../golden/requests/tool-calls.json", import.meta.url);
    const { messages } = JSON.parse(readFileSync(file, "utf8"));
    const before = structuredClone(messages);
    messagesOf(messages);
    assert.deepEqual(messages, before);
  });
});

describe("an answer in OpenAI's shape", () => {
  const usage = usageOf({ promptTokens: 5, generatedTokens: 2, cachedTokens: 3 });
  const SHAPES = {
    chat: [chatShape("m"), "chat.completion", "chat.completion.chunk", /^chatcmpl-[0-9a-f]{24}$/],
    text: [textShape("m"), "text_completion", "text_completion", /^cmpl-[0-9a-f]{24}$/],
  };
  for (const [name, [shape, whole, chunk, id]] of Object.entries(SHAPES)) {
    it(`has one id and its object's name, as ${name}`, () => {
      const chunks = [...shape.first(), shape.piece("a"), shape.last("stop"), shape.usage(usage)];
      assert.deepEqual(new Set(chunks.map(({ object }) => object)), new Set([chunk]));
      const answer = shape.whole("a", "stop", usage);
      assert.equal(answer.object, whole);
      assert.equal(new Set([...chunks, answer].map(({ id }) => id)).size, 1);
      assert.match(answer.id, id);
      assert.deepEqual([answer.model, answer.usage], ["m", usage]);
      assert.deepEqual(chunks.at(-1).choices, []);
    });
  }

  it("counts what was read, what of that was there, and what was written", () => {
    assert.deepEqual(usage, {
      prompt_tokens: 5,
      completion_tokens: 2,
      total_tokens: 7,
      prompt_tokens_details: { cached_tokens: 3 },
    });
  });
});
