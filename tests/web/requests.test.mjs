// What callers give, before any engine sees it: what is refused, in which words, and what the rest
// becomes. What requests say is read by the engine (crate/openai.rs).

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { resolveModel } from "../../web/src/model.ts";
import { chatShape, plainOf, textShape, usageOf } from "../../web/src/openai.ts";
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
    () => options.ofLoad({ model: "m", bits: 9 }),
    /^bits is 9: it must be 4, 5, 8, 16, 32 or an average from 2.5 to 8, like 3.5 or 5.25$/,
  ],
  "more decimals than are told apart": [
    () => options.ofLoad({ model: "m", bits: 4.505 }),
    /^bits is 4.505: /,
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
  "what cannot be written down": [
    () => plainOf("messages", [{ role: "user", content: 1n }]),
    /^messages is not plain data \(.*BigInt.*\): give texts, numbers, lists and objects$/,
  ],
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

/** What callers give as a request, and what crosses to the engine. */
const CROSSING = [
  [{ temperature: 0, stop: undefined }, { temperature: 0 }],
  [{ max_tokens: Infinity }, { max_tokens: "Infinity" }],
  [{ logit_bias: { 7: -Infinity } }, { logit_bias: { 7: "-Infinity" } }],
  [{ temperature: NaN }, { temperature: "NaN" }],
  [{ onChunk: String }, { onChunk: String(String) }],
  [
    { messages: [{ role: "user", content: "a", toText() {} }] },
    { messages: [{ role: "user", content: "a" }] },
  ],
  [undefined, null],
];

describe("a request on its way to the engine", () => {
  for (const [given, crosses] of CROSSING) {
    it(`is ${JSON.stringify(crosses)}`, () => assert.deepEqual(plainOf("it", given), crosses));
  }
});

describe("an answer in OpenAI's shape", () => {
  const usage = usageOf([
    { promptTokens: 5, generatedTokens: 2, cachedTokens: 3 },
    { promptTokens: 5, generatedTokens: 4, cachedTokens: 4 },
  ]);
  const SHAPES = {
    chat: [chatShape("m"), "chat.completion", "chat.completion.chunk", /^chatcmpl-[0-9a-f]{24}$/],
    text: [textShape("m"), "text_completion", "text_completion", /^cmpl-[0-9a-f]{24}$/],
  };
  for (const [name, [shape, whole, chunk, id]] of Object.entries(SHAPES)) {
    it(`has one id and its object's name, as ${name}`, () => {
      const chunks = [
        ...shape.first(0),
        shape.piece(0, { text: "a" }),
        shape.last(0, "stop"),
        shape.usage(usage),
      ];
      assert.deepEqual(new Set(chunks.map(({ object }) => object)), new Set([chunk]));
      const answer = shape.whole([{ text: "a", finish: "stop" }], usage);
      assert.equal(answer.object, whole);
      assert.equal(new Set([...chunks, answer].map(({ id }) => id)).size, 1);
      assert.match(answer.id, id);
      assert.deepEqual([answer.model, answer.usage], ["m", usage]);
      assert.deepEqual(chunks.at(-1).choices, []);
    });

    it(`tells several answers apart, as ${name}`, () => {
      const pieces = [shape.piece(2, { text: "a" }), shape.last(1, "stop")];
      assert.deepEqual(
        pieces.map(({ choices }) => choices[0].index),
        [2, 1],
      );
      const answers = [
        { text: "a", finish: "stop" },
        { text: "b", finish: "length" },
      ];
      assert.deepEqual(
        shape
          .whole(answers, usage)
          .choices.map((one) => [
            one.index,
            one.text ?? one.message.content,
            one.finish_reason,
            one.logprobs,
          ]),
        [
          [0, "a", "stop", null],
          [1, "b", "length", null],
        ],
      );
    });
  }

  const token = (token, logprob, bytes = [...new TextEncoder().encode(token)]) => {
    return { token, logprob, bytes, top_logprobs: [{ token: "x", logprob: -1, bytes: [120] }] };
  };
  // A character of four bytes in two tokens.
  const tokens = [
    token("ä", null),
    token("b", -2),
    token("\ufffd", -3, [0xf0, 0x9f]),
    token("\ufffd", -4, [0xa6, 0x8a]),
    token("c", -5),
  ];

  it("has tokens with their log-probabilities, as chat", () => {
    const [shape] = SHAPES.chat;
    const logprobs = { content: tokens, refusal: null };
    assert.deepEqual(shape.piece(0, { text: "", logprobs: tokens }).choices[0].logprobs, logprobs);
    const whole = shape.whole([{ text: "", finish: "stop", logprobs: tokens }], usage);
    assert.deepEqual(whole.choices[0].logprobs, logprobs);
  });

  it("has lists of log-probabilities that go on from piece to piece, as text", () => {
    const whole = textShape("m").whole([{ text: "", finish: "stop", logprobs: tokens }], usage);
    const { logprobs } = whole.choices[0];
    assert.deepEqual(logprobs, {
      tokens: ["ä", "b", "\ufffd", "\ufffd", "c"],
      token_logprobs: [null, -2, -3, -4, -5],
      top_logprobs: [null, { x: -1 }, { x: -1 }, { x: -1 }, { x: -1 }],
      text_offset: [0, 1, 2, 2, 3],
    });
    const shape = textShape("m");
    const offsets = [tokens.slice(0, 3), [], tokens.slice(3)].flatMap(
      (logprobs) => shape.piece(0, { text: "", logprobs }).choices[0].logprobs.text_offset,
    );
    assert.deepEqual(offsets, logprobs.text_offset);
    const other = shape.piece(1, { text: "", logprobs: tokens.slice(0, 1) });
    assert.deepEqual(other.choices[0].logprobs.text_offset, [0]);
  });

  it("counts what was read, what of that was there, and what was written", () => {
    assert.deepEqual(usage, {
      prompt_tokens: 5,
      completion_tokens: 6,
      total_tokens: 11,
      prompt_tokens_details: { cached_tokens: 3 },
    });
  });
});
