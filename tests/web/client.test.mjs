// A model beside an engine that says what is to be said: what becomes of its events.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Phi } from "../../web/src/client.ts";

const FIGURES = { promptTokens: 3, cachedTokens: 0, generatedTokens: 2 };
const MESSAGES = [{ role: "user", content: "Hi" }];

const text = (text) => ({ kind: "text", text });
const parsed = (json) => ({ kind: "parsed", json });
const done = (finish) => ({ kind: "done", finish, ...FIGURES });

/** A model whose engine tells these events, one list for each question. */
function telling(...questions) {
  const link = {
    description: { model: "m" },
    answer: async () => ({ kind: "taken" }),
    /** The module that holds answers to forms. */
    async grammars() {},
    async *ask() {
      for (const event of questions.shift()) yield { kind: "event", event };
    },
  };
  return new Phi(link, { model: "m" }, { model: "m" });
}

const ask = (phi, request = {}) => phi.chat.completions.create({ messages: MESSAGES, ...request });
const all = async (pieces) => {
  const list = [];
  for await (const piece of pieces) list.push(piece);
  return list;
};

const CUT = [text('{"a": 1, "b'), parsed('{"a": 1}'), done("length")];
const NONE = [text('{"a'), parsed(null), done("length")];

describe("an answer in JSON", () => {
  for (const [events, value, finish] of [
    [[text('{"a": 1}'), parsed('{"a": 1}'), done("stop")], { a: 1 }, "stop"],
    [CUT, { a: 1 }, "length"],
    [NONE, null, "length"],
    [[text("1e400"), parsed("1e400"), done("stop")], Infinity, "stop"],
  ])
    it(`has what is complete of ${events[0].text}`, async () => {
      const { choices } = await ask(telling(events));
      const content = events[0].text;
      assert.deepEqual(choices[0].message, { role: "assistant", content, parsed: value });
      const pieces = await all(await ask(telling(events), { stream: true }));
      const last = pieces.at(-1).choices[0];
      assert.deepEqual([last.delta, last.finish_reason], [{ parsed: value }, finish]);
    });

  it("is told of each of several", async () => {
    const events = [...CUT, ...NONE, text("{}"), done("stop")];
    const { choices } = await ask(telling(events), { n: 3 });
    const said = choices.map(({ message }) => message.parsed);
    assert.deepEqual(said, [{ a: 1 }, null, undefined]);
    const pieces = await all(await ask(telling(events), { n: 3, stream: true }));
    const ends = pieces.filter(({ choices }) => choices[0].finish_reason);
    assert.deepEqual(
      ends.map(({ choices }) => choices[0].delta),
      [{ parsed: { a: 1 } }, { parsed: null }, {}],
    );
  });

  it("is nothing that other answers have", async () => {
    const { choices } = await ask(telling([text("Hi"), done("stop")]));
    assert.deepEqual(choices[0].message, { role: "assistant", content: "Hi" });
  });

  it("is no part of the figures", async () => {
    const phi = telling(CUT);
    await ask(phi);
    assert.deepEqual(await phi.stats(), { finish: "length", ...FIGURES });
  });
});

describe("a conversation with functions", () => {
  const call = [
    { kind: "call", index: 0, id: "c", name: "now", arguments: "" },
    { kind: "call", index: 0, arguments: "{}" },
    done("tool_calls"),
  ];

  it("is answered in rounds", async () => {
    const phi = telling(call, call, [text("Noon."), done("stop")]);
    const functions = [{ name: "now", run: () => 12 }];
    const { text: answer, rounds } = await phi.runTools({ messages: MESSAGES, functions });
    assert.deepEqual([answer, rounds], ["Noon.", 3]);
  });

  it("has what is complete of the last answer, where that is JSON", async () => {
    const phi = telling(CUT);
    const { parsed } = await phi.runTools({ messages: MESSAGES, functions: [] });
    assert.deepEqual(parsed, { a: 1 });
  });

  it("is cancelled where an engine was told to stop", async () => {
    const phi = telling(call, [text("No"), done("cancelled")]);
    const functions = [{ name: "now", run: () => 12 }];
    const running = phi.runTools({ messages: MESSAGES, functions });
    await assert.rejects(running, { code: "cancelled" });
  });
});
