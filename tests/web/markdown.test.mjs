// Markdown as it is read: where its bounds are, what is a formula and what is money, what is
// half-typed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mended } from "../../web/app/markdown/formulas.ts";
import { blocksOf, isClosedFence } from "../../web/app/markdown/render.ts";

/** All tokens, those within others too. */
function all(tokens) {
  return tokens.flatMap((token) => [
    token,
    ...all([...(token.tokens ?? []), ...(token.items ?? [])]),
  ]);
}

const count = (text, type) =>
  all(blocksOf(text, false)).filter((token) => token.type === type).length;
const types = (text, grows = false) => blocksOf(text, grows).map(({ type }) => type);

describe("what would take long to read", () => {
  const stars = (marks) => "**a** ".repeat(marks / 4);

  it("is read for so many quotes within one another, and then stays as it was written", () => {
    const quotes = [20, 30].map((depth) => count(`${">".repeat(depth)} a`, "blockquote"));
    assert.deepEqual(quotes, [20, 21]);
    const last = all(blocksOf(`${">".repeat(30)} a`, false)).findLast(
      ({ type }) => type === "text",
    );
    assert.equal(last.text, `${">".repeat(9)} a`);
  });

  it("is a paragraph of very many marks, alone", () => {
    const strong = [2000, 2004].map((marks) => count(`# A\n\n${stars(marks)}\n\n**b**`, "strong"));
    assert.deepEqual(strong, [501, 1]);
    const [{ tokens }] = blocksOf(stars(2004).trim(), false);
    assert.deepEqual(
      tokens.map(({ type, text }) => [type, text]),
      [["text", stars(2004).trim()]],
    );
  });

  it("is a very long paragraph", () => {
    const emphasis = [49_000, 50_001].map((length) => count(`*b* ${"a".repeat(length - 4)}`, "em"));
    assert.deepEqual(emphasis, [1, 0]);
  });

  it("is a very long text", () => {
    const text = (times) => `# A\n\n${`${"a".repeat(40_000)}\n\n`.repeat(times)}`;
    assert.deepEqual(
      [4, 6].map((times) => count(text(times), "heading")),
      [1, 0],
    );
    assert.deepEqual(types(text(6)), ["text"]);
  });
});

/** The formulas of a text, on lines of their own and within others. */
const FORMULAS = [
  ["\\(a_1*b*c\\) and *d*", ["formula"]],
  ["$$e^{i\\pi}$$", ["shown-formula"]],
  ["\\[\n\\int_0^1\n- x\n\\]", ["shown-formula"]],
  ["- In a list: $$x$$", ["formula"]],
  ["First\n\\[ x \\]\nthen", ["shown-formula"]],
  ["It costs $5, or $6 with tax; all of $$$", []],
  ["\\\\(x\\\\)", []],
  ["`\\(x\\)`", []],
  ["Open \\(x and \\[y", []],
  ["\\[\n\nan empty line\n\n\\]", []],
  ["$$ is no sign of an end\n- a point", []],
  [`\\(${"x".repeat(4000)}\\)`, []],
];

describe("a formula", () => {
  for (const [text, found] of FORMULAS) {
    it(`is ${found.length > 0 ? found : "none"} in ${JSON.stringify(text.slice(0, 40))}`, () => {
      const tokens = all(blocksOf(text, false)).filter(({ type }) => type.endsWith("formula"));
      assert.deepEqual(
        tokens.map(({ type }) => type),
        found,
      );
    });
  }

  it("whose end is still to come is one where a text grows", () => {
    assert.deepEqual(
      [types("\\[ x\n- y", true), types("\\[ x\n- y")],
      [["shown-formula"], ["paragraph", "list"]],
    );
  });

  it("ends no emphasis around it", () => {
    const [{ tokens }] = blocksOf("**bold \\(a*b*c\\) too**", false);
    assert.deepEqual(
      tokens[0].tokens.map(({ type }) => type),
      ["text", "formula", "text"],
    );
  });
});

describe("what is half-typed", () => {
  for (const [text, closed] of [
    ["Some **bold", "Some **bold**"],
    ["Some `code", "Some `code`"],
    ["\\(a*b\\) and **bold", "\\(a*b\\) and **bold**"],
    ["Open \\(a*b", "Open \\(a*b"],
    ["$$a*b", "$$a*b"],
    ["All there.", "All there."],
  ]) {
    it(`is ${JSON.stringify(closed)} for ${JSON.stringify(text)}`, () =>
      assert.equal(mended(text), closed));
  }
});

describe("a fence", () => {
  for (const [text, isClosed] of [
    ["```js\na\n```", true],
    ["```js\na\n```\n\n", true],
    ["```js\na", false],
    ["```js\na\n``", false],
    ["````\n```\n", false],
    ["````\n```\n`````", true],
    ["~~~\na\n```", false],
    ["~~~\na\n  ~~~", true],
    ["    indented", true],
  ]) {
    it(`is ${isClosed ? "" : "not "}closed in ${JSON.stringify(text)}`, () => {
      const [token] = blocksOf(text, true);
      assert.deepEqual([token.type, isClosedFence(token)], ["code", isClosed]);
    });
  }
});
