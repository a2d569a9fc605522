// The AI SDK and our provider beside a model that says what is to be said: what the SDK asks it
// for, and what it makes of the answers, as a line of JSON.

import {
  generateObject,
  generateText,
  isStepCount,
  jsonSchema,
  Output,
  streamObject,
  streamText,
  tool,
} from "ai";
import { phiModel } from "phi-wasm/ai-sdk";

const usage = {
  prompt_tokens: 3,
  completion_tokens: 2,
  total_tokens: 5,
  prompt_tokens_details: { cached_tokens: 0 },
};
const properties = { name: { type: "string" }, age: { type: "integer" } };
const schema = jsonSchema({ type: "object", properties, required: ["name", "age"] });
const PERSON = '{"name": "Ada", "age": 36}';
const prompt = "Describe somebody.";

/** A model with these answers, texts or calls of `look`, and what it is asked for. */
function saying(...answers) {
  const requests = [];
  const create = async ({ messages, stream, stream_options, ...asked }) => {
    const answer = answers[requests.length];
    requests.push({ roles: messages.map(({ role }) => role), ...asked });
    const about = { id: "chatcmpl-1", created: 0, model: "m" };
    const called = { name: "look", arguments: JSON.stringify(answer) };
    const message =
      typeof answer === "string"
        ? { content: answer }
        : { content: null, tool_calls: [{ id: "call-1", type: "function", function: called }] };
    const finish_reason = message.tool_calls ? "tool_calls" : "stop";
    if (!stream)
      return {
        ...about,
        choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason }],
        usage,
      };
    const calls = message.tool_calls?.map((call, index) => ({ index, ...call }));
    const pieces = calls ? [{ tool_calls: calls }] : Array.from(answer, (content) => ({ content }));
    const choices = [
      ...pieces.map((delta) => ({ index: 0, delta, finish_reason: null })),
      { index: 0, delta: {}, finish_reason },
    ];
    return (async function* () {
      for (const choice of choices) yield { ...about, choices: [choice] };
      yield { ...about, choices: [], usage };
    })();
  };
  const phi = { description: { model: "m" }, chat: { completions: { create } } };
  return { model: phiModel(phi), requests };
}

async function all(pieces) {
  const list = [];
  for await (const piece of pieces) list.push(piece);
  return list;
}

const looked = [];
const look = tool({
  description: "Looks",
  inputSchema: jsonSchema({ type: "object", properties: { at: { type: "string" } } }),
  execute: ({ at }) => looked.push(at) && { seen: at },
});

const ASKED = {
  async generateObject(model) {
    const named = { schemaName: "person", schemaDescription: "Somebody" };
    const { object, finishReason, warnings } = await generateObject({
      model,
      prompt,
      schema,
      ...named,
    });
    return { object, finishReason, warnings };
  },
  async withoutSchema(model) {
    return (await generateObject({ model, prompt, output: "no-schema" })).object;
  },
  async enumeration(model) {
    return (await generateObject({ model, prompt, output: "enum", enum: ["a", "b"] })).object;
  },
  async streamObject(model) {
    const { partialObjectStream, object } = streamObject({ model, prompt, schema });
    return { parts: await all(partialObjectStream), object: await object };
  },
  async outputObject(model) {
    return (await generateText({ model, prompt, output: Output.object({ schema }) })).output;
  },
  async outputStreamed(model) {
    const result = streamText({ model, prompt, output: Output.object({ schema }) });
    return { parts: await all(result.partialOutputStream), object: await result.output };
  },
  async outputArray(model) {
    return (await generateText({ model, prompt, output: Output.array({ element: schema }) }))
      .output;
  },
  async outputChoice(model) {
    return (await generateText({ model, prompt, output: Output.choice({ options: ["a", "b"] }) }))
      .output;
  },
  async outputJson(model) {
    return (await generateText({ model, prompt, output: Output.json() })).output;
  },
  async tools(model) {
    const { text, steps } = await generateText({
      model,
      prompt,
      tools: { look },
      toolChoice: "required",
      prepareStep: ({ stepNumber }) => (stepNumber ? { toolChoice: "auto" } : {}),
      stopWhen: isStepCount(3),
    });
    return { text, steps: steps.length, looked: looked.splice(0) };
  },
  async toolsStreamed(model) {
    const result = streamText({
      model,
      prompt,
      tools: { look },
      toolChoice: { type: "tool", toolName: "look" },
      prepareStep: ({ stepNumber }) => (stepNumber ? { toolChoice: "none" } : {}),
      stopWhen: isStepCount(3),
    });
    return { text: await result.text, looked: looked.splice(0) };
  },
};
const SAID = {
  withoutSchema: ['{"a": 1}'],
  enumeration: ['{"result": "b"}'],
  outputArray: [`{"elements": [${PERSON}]}`],
  outputChoice: ['{"result": "b"}'],
  outputJson: ['{"a": 1}'],
  tools: [{ at: "moon" }, "It is far."],
  toolsStreamed: [{ at: "sun" }, "It is hot."],
};

const told = {};
for (const [name, ask] of Object.entries(ASKED)) {
  const { model, requests } = saying(...(SAID[name] ?? [PERSON]));
  const came = await ask(model).catch((error) => ({ error: `${error.name}: ${error.message}` }));
  told[name] = { came, requests };
}
console.log(JSON.stringify(told));
