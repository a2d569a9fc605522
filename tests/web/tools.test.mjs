// Conversations with functions, beside a model that says what is to be said.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chatShape } from "../../web/src/openai.ts";
import { runTools } from "../../web/src/tools.ts";

const MESSAGES = [{ role: "user", content: "Hi" }];
const ANSWER = [{ text: "It is noon." }, { finish: "stop" }];

/** A call of a function, as the engine tells it. */
const calling = (name, written, index = 0) => [
  { index, id: `call-${name}-${index}`, name, arguments: "" },
  { index, arguments: written },
];
const round = (...calls) => [...calls.flat(), { finish: "tool_calls" }];

/** A model that gives these answers, the last one again and again, and what it was asked. */
function saying(...answers) {
  const requests = [];
  const create = async (request, call) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push(structuredClone({ ...request, call: Object.keys(call) }));
    const shape = chatShape("m");
    return (async function* () {
      yield* shape.first(0);
      for (const { text, finish, parsed, ...call } of answer)
        if (text !== undefined) yield shape.piece(0, { text });
        else if (finish) yield shape.last(0, finish, parsed);
        else yield shape.call(0, call);
    })();
  };
  return { completions: { create }, requests };
}

const now = (run) => ({ name: "now", description: "Tells the time.", run });
const ask = ({ completions }, functions, more = {}, wishes = {}) =>
  runTools(completions, { messages: MESSAGES, functions, ...more }, wishes);
/** What the model was told of its call, when it was asked again. */
const toldOf = ({ requests }) => requests[1].messages.at(-1).content;

describe("a conversation with functions", () => {
  it("goes on until the model answers without a call", async () => {
    const model = saying(
      round(calling("now", '{"zone": "CET"}')),
      [{ text: "Hm. " }, ...round(calling("weather", ""))],
      ANSWER,
    );
    const parameters = { type: "object", properties: { zone: { type: "string" } } };
    const asked = [];
    const functions = [
      { ...now((args) => asked.push(args) && { hour: 12 }), parameters },
      { name: "weather", run: async (args) => asked.push(args) && "fine" },
    ];
    const heard = [];
    const chunks = [];
    const result = await ask(
      model,
      functions,
      { temperature: 0.5, tool_choice: "required" },
      { onMessage: (one) => heard.push(one), onChunk: (one) => chunks.push(one) },
    );
    const called = (name, written) => ({
      id: `call-${name}-0`,
      type: "function",
      function: { name, arguments: written },
    });
    const messages = [
      { role: "assistant", content: null, tool_calls: [called("now", '{"zone": "CET"}')] },
      { role: "tool", tool_call_id: "call-now-0", name: "now", content: '{"hour":12}' },
      { role: "assistant", content: "Hm. ", tool_calls: [called("weather", "")] },
      { role: "tool", tool_call_id: "call-weather-0", name: "weather", content: "fine" },
      { role: "assistant", content: "It is noon." },
    ];
    assert.deepEqual(result, { text: "It is noon.", finishReason: "stop", messages, rounds: 3 });
    assert.deepEqual(asked, [{ zone: "CET" }, {}]);
    assert.deepEqual(heard, messages);
    assert.ok(chunks.some(({ choices }) => choices[0].delta.content === "It is noon."));
    const tools = [
      { type: "function", function: { name: "now", description: "Tells the time.", parameters } },
      { type: "function", function: { name: "weather" } },
    ];
    const request = { temperature: 0.5, tools, stream: true, call: [] };
    // Who had to call something each time would never answer.
    assert.deepEqual(model.requests, [
      { ...request, messages: MESSAGES, tool_choice: "required" },
      { ...request, messages: [...MESSAGES, ...messages.slice(0, 2)], tool_choice: "auto" },
      { ...request, messages: [...MESSAGES, ...messages.slice(0, 4)], tool_choice: "auto" },
    ]);
  });

  it("runs calls side by side, and tells what they gave in the order of the calls", async () => {
    const model = saying(round(calling("now", "{}"), calling("weather", "{}", 1)), ANSWER);
    let isThere;
    const second = new Promise((resolve) => (isThere = resolve));
    const functions = [
      now(async (_, { id }) => {
        await second;
        return id;
      }),
      { name: "weather", run: (_, { id }) => isThere() ?? id },
    ];
    const { messages } = await ask(model, functions);
    assert.deepEqual(
      messages.filter(({ role }) => role === "tool").map(({ content }) => content),
      ["call-now-0", "call-weather-1"],
    );
  });

  it("has a whole answer in JSON where that was asked for", async () => {
    const end = { finish: "stop", parsed: null };
    const format = { response_format: { type: "json_object" } };
    const { parsed } = await ask(saying([{ text: "{" }, end]), [], format);
    assert.equal(parsed, null);
  });

  it("ends with an answer that was cut, and runs none of its calls", async () => {
    const cut = [{ text: "So" }, ...calling("now", '{"zone'), { finish: "length" }];
    const run = () => assert.fail("it was run");
    const result = await ask(saying(cut), [now(run)]);
    const messages = [{ role: "assistant", content: "So" }];
    assert.deepEqual(result, { text: "So", finishReason: "length", messages, rounds: 1 });
  });
});

describe("a function that gives nothing to go on with", () => {
  const circle = {};
  circle.self = circle;
  const trap = {
    get message() {
      throw new Error("trap");
    },
  };
  const throwing = (thrown) => () => {
    throw thrown;
  };
  for (const [what, run, reason] of [
    ["throws", throwing(new Error("no clock")), /^no clock$/],
    ["throws a text", throwing("no clock"), /^no clock$/],
    ["throws nothing", throwing(undefined), /^undefined$/],
    ["throws an error without words", throwing(new TypeError()), /^TypeError$/],
    ["throws what cannot be shown", throwing(trap), /does not say why/],
    ["throws what is no text", throwing(Object.create(null)), /does not say why/],
    ["rejects", () => Promise.reject(new Error("too late")), /^too late$/],
    ["returns nothing", () => {}, /^the function gave undefined, which is no JSON$/],
    ["returns a function", () => () => 1, /^the function gave .*, which is no JSON$/],
    ["returns a BigInt", () => 1n, /BigInt/],
    ["returns a circle", () => circle, /circular/],
    ["returns what throws when read", () => ({ toJSON: throwing(new Error("no")) }), /^no$/],
    ["returns a promise of none", async () => undefined, /^the function gave undefined/],
  ]) {
    it(`ends nothing where it ${what}: the model is told`, async () => {
      const model = saying(round(calling("now", "{}")), ANSWER);
      const { text } = await ask(model, [now(run)]);
      assert.equal(text, "It is noon.");
      const { error, ...others } = JSON.parse(toldOf(model));
      assert.match(error, reason);
      assert.deepEqual(others, {});
    });
  }

  for (const written of ['{"zone": ', "[1]", "null", '"CET"', "CET"]) {
    it(`is not run with ${written} for its arguments`, async () => {
      const model = saying(round(calling("now", written)), ANSWER);
      await ask(model, [now(() => assert.fail("it was run"))]);
      assert.equal(toldOf(model), '{"error":"the arguments are no JSON object"}');
    });
  }

  it("is no other than those that are offered", async () => {
    const model = saying(round(calling("toString", "{}")), ANSWER);
    await ask(model, [now(() => "noon")]);
    assert.equal(toldOf(model), '{"error":"there is no function toString"}');
  });

  for (const [value, content] of [
    ["", ""],
    [null, "null"],
    [0, "0"],
    [[1, { a: undefined }], "[1,{}]"],
  ])
    it(`is none that gives ${JSON.stringify(value)}`, async () => {
      const model = saying(round(calling("now", "{}")), ANSWER);
      await ask(model, [now(() => value)]);
      assert.equal(toldOf(model), content);
    });
});

describe("a model that comes to no answer", () => {
  for (const [more, rounds] of [
    [{}, 10],
    [{ maxRounds: 2 }, 2],
  ])
    it(`is asked ${rounds} times, and then it is said`, async () => {
      const model = saying(round(calling("now", "{}")));
      const error = await ask(model, [now(() => "noon")], more).catch((error) => error);
      assert.deepEqual([error.name, error.code], ["RoundsError", "max-rounds"]);
      assert.match(error.message, new RegExp(`each of ${rounds} rounds`));
      assert.equal(model.requests.length, rounds);
      // What a conversation can go on from.
      assert.equal(error.messages.length, 2 * rounds);
      assert.equal(error.messages.at(-1).role, "tool");
    });
});

describe("a signal", () => {
  it("ends it at once, whatever a function waits for, and the function hears of it", async () => {
    const abort = new AbortController();
    const model = saying(round(calling("now", "{}")), ANSWER);
    let heard;
    const run = (_, { signal }) => {
      heard = signal;
      queueMicrotask(() => abort.abort());
      return new Promise(() => {});
    };
    const running = ask(model, [now(run)], {}, { signal: abort.signal });
    await assert.rejects(running, { code: "cancelled" });
    assert.ok(heard.aborted);
    assert.equal(model.requests.length, 1);
  });

  it("that a function gives counts before its answer", async () => {
    const abort = new AbortController();
    const model = saying(round(calling("now", "{}")), ANSWER);
    const run = () => abort.abort() ?? "noon";
    const running = ask(model, [now(run)], {}, { signal: abort.signal });
    await assert.rejects(running, { code: "cancelled" });
    assert.deepEqual([model.requests.length, model.requests[0].call], [1, ["signal"]]);
  });

  it("ends it while the model answers", async () => {
    const model = saying([{ text: "It" }, { finish: "cancelled" }]);
    await assert.rejects(ask(model, []), { code: "cancelled" });
  });

  it("is there for functions, also where nobody gave one", async () => {
    const model = saying(round(calling("now", "{}")), ANSWER);
    await ask(model, [now((_, { signal }) => String(signal.aborted))]);
    assert.equal(toldOf(model), "false");
  });
});

describe("what cannot be run", () => {
  for (const [request, sentence] of [
    [undefined, /^runTools takes a request, and was given undefined$/],
    [{ functions: [] }, /^messages is undefined: give a list of messages$/],
    [{ messages: [] }, /^functions is undefined: give a list$/],
    [{ messages: [], functions: [{ name: "now" }] }, /^functions\[0\] is no \{ name,/],
    [{ messages: [], functions: [null] }, /^functions\[0\] is no/],
    [{ messages: [], functions: [], maxRounds: 0 }, /^maxRounds is 0: it must be a whole number/],
    [{ messages: [], functions: [], stream: true }, /^stream is not for runTools: onChunk/],
    [{ messages: [], functions: [], n: 2 }, /^n is not for runTools/],
    [{ messages: [], functions: [], tools: [] }, /^tools is not for runTools: give functions$/],
  ])
    it(`is refused: ${sentence.source}`, async () => {
      const { completions, requests } = saying(ANSWER);
      const refused = { code: "bad-option", message: sentence };
      await assert.rejects(runTools(completions, request), refused);
      assert.equal(requests.length, 0);
    });

  it("is an option that there is not", async () => {
    const running = ask(saying(ANSWER), [], {}, { onStep: () => {} });
    await assert.rejects(running, {
      code: "bad-option",
      message: /^onStep is no option of runTools/,
    });
  });
});
