// Answers of a form, and functions that the model has run, in Chromium: by a model whose weights
// are random, so that it would say anything else.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openHost } from "./host.mjs";

/** What tells the model of its tools. */
const TEMPLATE =
  "{% if tools %}{{ tools | tojson }}\n{% endif %}" +
  "{% for message in messages %}{{ message.content or '' }}\n" +
  "{% for call in message.tool_calls or [] %}{{ call | tojson }}\n{% endfor %}{% endfor %}";

let host, tab;
before(async () => {
  host = await openHost();
  const folder = join(host.folder, "tools");
  mkdirSync(folder);
  for (const file of ["config.json", "model.safetensors", "tokenizer.json"])
    cpSync(join(host.folder, file), join(folder, file));
  const settings = JSON.stringify({ chat_template: TEMPLATE });
  writeFileSync(join(folder, "tokenizer_config.json"), settings);
  tab = await host.openTab();
  await tab.evaluate(async (model) => {
    self.phi = await Phi.load({ model, backend: "cpu", storage: "none" });
    self.messages = [{ role: "user", content: "Hi" }];
    self.random = { temperature: 2, seed: 7, max_tokens: 300 };
  }, `${host.tiny}tools/`);
});
after(() => host?.close());

describe("an answer in JSON", () => {
  it("has its value, and where it is cut what was complete", async () => {
    const [whole, cut, pieces] = await tab.evaluate(async () => {
      const name = { type: "string", maxLength: 8 };
      const age = { type: "integer", minimum: 100, maximum: 130 };
      const properties = { name, age };
      const required = ["name", "age"];
      const schema = { type: "object", properties, required, additionalProperties: false };
      const response_format = { type: "json_schema", json_schema: { name: "it", schema } };
      const { create } = phi.chat.completions;
      const ask = (more) => create({ messages, response_format, ...random, ...more });
      const whole = await ask();
      // A byte is a token: all but the age's last digit.
      const { content, parsed } = whole.choices[0].message;
      const begun = content.slice(0, content.lastIndexOf(parsed.age) + 2);
      const max_tokens = new TextEncoder().encode(begun).length;
      const pieces = await all(ask({ max_tokens, stream: true }));
      return [whole.choices[0], (await ask({ max_tokens })).choices[0], pieces];
    });
    const { content, parsed } = whole.message;
    assert.deepEqual([parsed, whole.finish_reason], [JSON.parse(content), "stop"]);
    assert.deepEqual(Object.keys(parsed), ["name", "age"]);
    assert.deepEqual(cut.message.parsed, { name: parsed.name });
    assert.equal(cut.finish_reason, "length");
    assert.deepEqual(pieces.at(-1).choices[0].delta, { parsed: { name: parsed.name } });
  });
});

describe("a conversation with functions", () => {
  it("without any is an answer", async () => {
    const [run, answer] = await tab.evaluate(async () => {
      const request = { messages, ...random, max_tokens: 9 };
      const run = await phi.runTools({ ...request, functions: [] });
      return [run, (await phi.chat.completions.create(request)).choices[0]];
    });
    const { content, role } = answer.message;
    const messages = [{ role, content }];
    const finishReason = answer.finish_reason;
    assert.deepEqual(run, { text: content, finishReason, messages, rounds: 1 });
  });

  it("has the one run that must be called, and then is answered", async () => {
    const [run, given] = await tab.evaluate(async () => {
      const given = [];
      const city = { type: "string", enum: ["Bonn", "Ulm"] };
      const parameters = { type: "object", properties: { city }, required: ["city"] };
      const look = {
        name: "look",
        parameters: { ...parameters, additionalProperties: false },
        run: (args) => given.push(args) && "It rains.",
      };
      const request = { messages, functions: [look], tool_choice: "required", ...random };
      return [await phi.runTools({ ...request, parallel_tool_calls: false }), given];
    });
    assert.equal(given.length, 1);
    assert.ok(["Bonn", "Ulm"].includes(given[0].city), JSON.stringify(given));
    const [called, told] = run.messages;
    assert.equal(called.tool_calls[0].function.name, "look");
    const result = { role: "tool", tool_call_id: called.tool_calls[0].id, name: "look" };
    assert.deepEqual(told, { ...result, content: "It rains." });
    assert.equal(run.rounds, 2);
  });

  it("is ended by a signal, however long a function takes", async () => {
    const { code } = await tab.evaluate(() => {
      const abort = new AbortController();
      const parameters = { type: "object", properties: {}, additionalProperties: false };
      const run = () => {
        queueMicrotask(() => abort.abort());
        return new Promise(() => {});
      };
      const single = { tool_choice: "required", parallel_tool_calls: false };
      const request = { messages, ...single, ...random };
      const functions = [{ name: "wait", parameters, run }];
      return failure(phi.runTools({ ...request, functions }, { signal: abort.signal }));
    });
    assert.equal(code, "cancelled");
  });
});
