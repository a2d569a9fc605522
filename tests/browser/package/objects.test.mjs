// The AI SDK's provider with the real library, under the Node.js that this asks for, beside a model
// that says what is to be said: what it is asked for, and what comes of its answers.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { nodeProgram, project, run } from "../samples.mjs";

describe("the AI SDK's provider beside a model that says what is to be said", () => {
  const person = { name: "Ada", age: 36 };
  const properties = { name: { type: "string" }, age: { type: "integer" } };
  const schema = { type: "object", properties, required: ["name", "age"] };
  let told;
  before(async () => {
    const folder = await project("libraries", { name: "objects", node: 22 });
    const { stdout } = await run(folder, await nodeProgram(22), "objects.mjs");
    told = JSON.parse(stdout);
  });

  it("asks for objects by their schema, and gives them", () => {
    const json_schema = { name: "person", description: "Somebody", schema };
    const { came, requests } = told.generateObject;
    assert.deepEqual(came, { object: person, finishReason: "stop", warnings: [] });
    const response_format = { type: "json_schema", json_schema };
    assert.deepEqual(requests, [{ roles: ["user"], response_format }]);
    assert.deepEqual(told.outputObject.came, person);
    const unnamed = { type: "json_schema", json_schema: { name: "response", schema } };
    assert.deepEqual(told.outputObject.requests[0].response_format, unnamed);
  });

  it("asks for any object where there is no schema", () => {
    for (const { came, requests } of [told.withoutSchema, told.outputJson]) {
      assert.deepEqual(came, { a: 1 });
      assert.deepEqual(requests, [{ roles: ["user"], response_format: { type: "json_object" } }]);
    }
  });

  it("gives lists and choices", () => {
    assert.deepEqual(told.outputArray.came, [person]);
    assert.deepEqual([told.enumeration.came, told.outputChoice.came], ["b", "b"]);
  });

  it("streams objects as they grow", () => {
    for (const { came } of [told.streamObject, told.outputStreamed]) {
      const { parts, object } = came;
      assert.deepEqual(parts.at(-1), person);
      assert.deepEqual(object, person);
      assert.ok(parts.some(({ name }) => name === "Ad"));
    }
  });

  it("has tools called, those that must be, too", () => {
    const { came, requests } = told.tools;
    assert.deepEqual(came, { text: "It is far.", steps: 2, looked: ["moon"] });
    const choices = ({ requests }) => requests.map(({ tool_choice }) => tool_choice);
    assert.deepEqual(choices({ requests }), ["required", "auto"]);
    assert.deepEqual(requests[1].roles, ["user", "assistant", "tool"]);
    assert.deepEqual(told.toolsStreamed.came, { text: "It is hot.", looked: ["sun"] });
    const named = { type: "function", function: { name: "look" } };
    assert.deepEqual(choices(told.toolsStreamed), [named, "none"]);
  });
});
