// Tools through the AI SDK's provider, beside a model that says what is to be said.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { phiModel } from "../../web/src/ai-sdk.ts";
import { addCall, chatShape } from "../../web/src/openai.ts";

const USAGE = {
  prompt_tokens: 3,
  completion_tokens: 2,
  total_tokens: 5,
  prompt_tokens_details: { cached_tokens: 0 },
};
const DELTAS = [
  { index: 0, id: "a", name: "add", arguments: "" },
  { index: 0, arguments: '{"x":' },
  { index: 0, arguments: "1}" },
  { index: 1, id: "b", name: "now", arguments: "" },
  { index: 1, arguments: "{}" },
];
const PROMPT = [{ role: "user", content: [{ type: "text", text: "Hi" }] }];

/** A model that calls two tools, and the requests that it has had. */
function calling() {
  const requests = [];
  const create = async (request) => {
    requests.push(request);
    const shape = chatShape("m");
    const calls = [];
    for (const delta of DELTAS) addCall(calls, delta);
    if (!request.stream) return shape.whole([{ text: "", calls, finish: "tool_calls" }], USAGE);
    const called = DELTAS.map((delta) => shape.call(0, delta));
    const chunks = [...called, shape.last(0, "tool_calls"), shape.usage(USAGE)];
    return (async function* () {
      yield* shape.first(0);
      yield* chunks;
    })();
  };
  const phi = { description: { model: "m" }, chat: { completions: { create } } };
  return { model: phiModel(phi), requests };
}

const CALLS = [
  { type: "tool-call", toolCallId: "a", toolName: "add", input: '{"x":1}' },
  { type: "tool-call", toolCallId: "b", toolName: "now", input: "{}" },
];

describe("the AI SDK's provider", () => {
  it("gives calls of tools, whole", async () => {
    const { content, finishReason } = await calling().model.doGenerate({ prompt: PROMPT });
    assert.deepEqual(content, [{ type: "text", text: "" }, ...CALLS]);
    assert.deepEqual(finishReason, { unified: "tool-calls", raw: "tool_calls" });
  });

  it("gives calls of tools in pieces, each with its end before the next", async () => {
    const { stream } = await calling().model.doStream({ prompt: PROMPT });
    const parts = [];
    for await (const part of stream) parts.push(part);
    const told = parts.filter(({ type }) => type.startsWith("tool"));
    assert.deepEqual(told, [
      { type: "tool-input-start", id: "a", toolName: "add" },
      { type: "tool-input-delta", id: "a", delta: '{"x":' },
      { type: "tool-input-delta", id: "a", delta: "1}" },
      { type: "tool-input-end", id: "a" },
      CALLS[0],
      { type: "tool-input-start", id: "b", toolName: "now" },
      { type: "tool-input-delta", id: "b", delta: "{}" },
      { type: "tool-input-end", id: "b" },
      CALLS[1],
    ]);
    assert.equal(parts.at(-1).finishReason.unified, "tool-calls");
  });

  it("asks with tools, calls and results as OpenAI has them", async () => {
    const { model, requests } = calling();
    const inputSchema = { type: "object", properties: {} };
    await model.doGenerate({
      tools: [{ type: "function", name: "now", description: "Tells.", inputSchema }],
      toolChoice: { type: "tool", toolName: "now" },
      prompt: [
        { role: "system", content: "Be kind." },
        ...PROMPT,
        {
          role: "assistant",
          content: [
            { type: "text", text: "So." },
            { type: "tool-call", toolCallId: "b", toolName: "now", input: { z: 1 } },
          ],
        },
        {
          role: "tool",
          content: [
            {
              type: "tool-result",
              toolCallId: "b",
              toolName: "now",
              output: { type: "json", value: { t: 12 } },
            },
          ],
        },
      ],
    });
    const named = { name: "now", arguments: '{"z":1}' };
    assert.deepEqual(requests, [
      {
        stream: false,
        tools: [
          {
            type: "function",
            function: { name: "now", description: "Tells.", parameters: inputSchema },
          },
        ],
        tool_choice: { type: "function", function: { name: "now" } },
        messages: [
          { role: "system", content: "Be kind." },
          { role: "user", content: "Hi" },
          {
            role: "assistant",
            content: "So.",
            tool_calls: [{ id: "b", type: "function", function: named }],
          },
          { role: "tool", tool_call_id: "b", name: "now", content: '{"t":12}' },
        ],
      },
    ]);
  });

  const schema = { type: "object", properties: {} };
  const object = { type: "json_schema", json_schema: { name: "response", schema } };
  const named = { name: "person", schema, description: "Somebody" };
  for (const [responseFormat, response_format] of [
    [undefined, undefined],
    [{ type: "text" }, undefined],
    [{ type: "json" }, { type: "json_object" }],
    [{ type: "json", schema }, object],
    [
      { type: "json", schema, name: "person", description: "Somebody" },
      { type: "json_schema", json_schema: named },
    ],
  ])
    it(`asks for ${JSON.stringify(response_format)} where the SDK wants that`, async () => {
      const { model, requests } = calling();
      const { warnings } = await model.doGenerate({ prompt: PROMPT, responseFormat });
      assert.deepEqual([requests[0].response_format, warnings], [response_format, []]);
    });

  it("warns of what has no effect", async () => {
    const { model } = calling();
    const asked = (more) => model.doGenerate({ prompt: PROMPT, ...more });
    const unsupported = (feature) => [{ type: "unsupported", feature }];
    const { warnings } = await asked({ reasoning: "high" });
    assert.deepEqual(warnings, unsupported("reasoning"));
    assert.deepEqual((await asked({ reasoning: "none" })).warnings, []);
    const tools = [{ type: "provider", id: "a.b", name: "b", args: {} }];
    assert.deepEqual((await asked({ tools })).warnings, unsupported("tools of a provider"));
  });
});
