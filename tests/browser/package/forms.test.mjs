// Answers of a form in Chromium: the module that holds them to it is fetched when one is first
// asked for, and what comes is of the form, however little sense the model has.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openHost } from "./host.mjs";

const MESSAGES = [{ role: "user", content: "Who is it?" }];
const PERSON = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 8 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    isHere: { type: "boolean" },
  },
  required: ["name", "age", "isHere"],
  additionalProperties: false,
};
const NOTE = `<?xml version="1.0"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:element name="note"><xs:complexType><xs:sequence>
    <xs:element name="to" maxOccurs="2"><xs:simpleType><xs:restriction base="xs:string">
      <xs:maxLength value="4"/></xs:restriction></xs:simpleType></xs:element>
    <xs:element name="urgent" type="xs:boolean"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>`;

let host, tab;
const asked = [];
before(async () => {
  host = await openHost();
  tab = await host.openTab();
  tab.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await tab.evaluate(async (model) => {
    self.phi = await Phi.load({ model, backend: "cpu", storage: "none" });
    self.ask = (response_format, more) =>
      phi.chat.completions.create({
        messages: [{ role: "user", content: "Who is it?" }],
        response_format,
        temperature: 2,
        max_tokens: 200,
        ...more,
      });
  }, host.tiny);
});
after(() => host?.close());

/** How often the module was fetched, by whichever worker. */
const fetched = () => asked.filter((path) => path.endsWith("/grammars.wasm")).length;
const contentsOf = ({ choices }) => choices.map(({ message }) => message.content);

describe("answers of a form", () => {
  it("are JSON of a schema, whatever the seed, whole and in pieces", async () => {
    await tab.evaluate(
      (messages) => phi.chat.completions.create({ messages, max_tokens: 1 }),
      MESSAGES,
    );
    assert.equal(fetched(), 0, "it was fetched before anyone asked for a form");
    const format = { type: "json_schema", json_schema: { name: "person", schema: PERSON } };
    const whole = await tab.evaluate((format) => ask(format, { n: 10, seed: 1 }), format);
    for (const text of contentsOf(whole)) {
      const { name, age, isHere, ...rest } = JSON.parse(text);
      assert.ok([...name].length <= 8 && age >= 0 && age <= 150, text);
      assert.equal(Number.isInteger(age) && typeof isHere, "boolean", text);
      assert.deepEqual(rest, {});
    }
    const pieces = await tab.evaluate(
      (format) => all(ask(format, { stream: true, seed: 1 })),
      format,
    );
    const text = pieces.map(({ choices }) => choices[0].delta.content ?? "").join("");
    assert.equal(text, contentsOf(whole)[0]);
    assert.equal(pieces.at(-1).choices[0].finish_reason, "stop");
    assert.equal(fetched(), 1);
  });

  it("are objects, choices, texts of a pattern or a grammar, and documents", async () => {
    for (const [format, isRight] of [
      [{ type: "choice", choice: ["yes", "no"] }, (text) => ["yes", "no"].includes(text)],
      [{ type: "regex", regex: "[a-c]{2,4}-[0-9]{3}" }, (text) => /^[a-c]{2,4}-\d{3}$/.test(text)],
      [
        { type: "grammar", grammar: 'start: "(" (start | /[a-z]/) ")"' },
        (text) => /^\(+[a-z]\)+$/.test(text),
      ],
    ]) {
      const texts = contentsOf(await tab.evaluate((format) => ask(format, { n: 5 }), format));
      for (const text of texts) assert.ok(isRight(text), `${format.type}: ${text}`);
    }
    const documents = await tab.evaluate(async (schema) => {
      const { choices } = await ask({ type: "xml_schema", xml_schema: schema }, { n: 5 });
      return choices.map(({ message }) => {
        const document = new DOMParser().parseFromString(message.content, "application/xml");
        const error = document.querySelector("parsererror")?.textContent ?? null;
        return [error, [...document.documentElement.children].map(({ localName }) => localName)];
      });
    }, NOTE);
    for (const [error, names] of documents) {
      assert.equal(error, null);
      assert.match(names.join(" "), /^(to ){1,2}urgent$/);
    }
  });

  it("are refused at once where they cannot be held to, and the model answers on", async () => {
    const [schema, pattern, kind, text] = await tab.evaluate(async () => [
      await failure(
        ask(
          {
            type: "json_schema",
            json_schema: { schema: { properties: { a: { uniqueItems: true } } } },
          },
          { stream: true },
        ),
      ),
      await failure(ask({ type: "regex", regex: "(" })),
      await failure(ask({ type: "yaml" })),
      (await ask({ type: "choice", choice: ["yes"] })).choices[0].message.content,
    ]);
    assert.equal(schema.code, "bad-constraint");
    assert.match(schema.message, /at #\/properties\/a: uniqueItems is not enforced/);
    assert.equal(pattern.code, "bad-constraint");
    assert.equal(kind.code, "bad-option");
    assert.ok([schema, pattern, kind].every(({ isPhi }) => isPhi));
    assert.equal(text, "yes");
  });

  it("need their module: where it is not, that is said, and other answers come", async () => {
    const [error, other] = await tab.evaluate(async (model) => {
      const phi = await Phi.load({
        model,
        backend: "cpu",
        storage: "none",
        wasmUrl: (name) => (name === "grammars" ? "/nowhere.wasm" : `/${name}.wasm`),
      });
      const messages = [{ role: "user", content: "Yes?" }];
      const response_format = { type: "choice", choice: ["yes"] };
      const error = await failure(phi.chat.completions.create({ messages, response_format }));
      const { choices } = await phi.chat.completions.create({ messages, max_tokens: 2 });
      await phi.unload();
      return [error, choices.length];
    }, host.tiny);
    assert.equal(error.code, "no-worker");
    assert.match(error.message, /holds answers to forms does not load .*nowhere\.wasm answers 404/);
    assert.equal(other, 1);
  });
});
