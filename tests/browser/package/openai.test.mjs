// Our shapes beside those of OpenAI's own client: its types, and what it makes of our chunks.
// Version 6 is the last for Node.js 20.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ENDLESS, EXACT, GOLDEN } from "../golden.mjs";
import { compile, nodeProgram, project, run } from "../samples.mjs";
import { openHost } from "./host.mjs";

const CLIENTS = [
  { version: 6, node: 20 },
  { version: 7, node: 22 },
];

let host, answers;
before(async () => {
  host = await openHost();
  const tab = await host.openTab();
  answers = await tab.evaluate(
    async (model, exact, prompt, max_tokens, endless) => {
      const phi = await Phi.load({ model, backend: "cpu", storage: "none", ...exact });
      const asked = {
        messages: [{ role: "user", content: prompt }],
        stream: true,
        stream_options: { include_usage: true },
      };
      const whole = await all(phi.chat.completions.create({ ...asked, max_tokens }));
      const abort = new AbortController();
      const cancelled = [];
      const long = { ...asked, messages: [{ role: "user", content: endless }] };
      for await (const piece of await phi.chat.completions.create(long, { signal: abort.signal })) {
        cancelled.push(piece);
        abort.abort();
      }
      return { whole, cancelled };
    },
    host.golden,
    EXACT,
    GOLDEN.prompt,
    GOLDEN.length,
    ENDLESS,
  );
});
after(() => host?.close());

for (const { version, node } of CLIENTS) {
  describe(`openai ${version}, on Node.js ${node}`, () => {
    let folder;
    before(async () => {
      const dependencies = { openai: `^${version}.0.0` };
      folder = await project("openai", { name: `openai-${version}`, node, dependencies });
    });

    /** What the client's help for streams makes of chunks. */
    const read = async (chunks) => {
      const input = chunks.map((chunk) => `${JSON.stringify(chunk)}\n`).join("");
      const { stdout } = await run({ cwd: folder, input }, await nodeProgram(node), "stream.mjs");
      const { versions, ...heard } = JSON.parse(stdout);
      assert.deepEqual(
        versions.map((version) => Number.parseInt(version, 10)),
        [version, node],
      );
      return heard;
    };

    it("has types that ours fit, but for what the README names", () => compile(folder, "types.ts"));

    it("puts our chunks together", async () => {
      const { pieces, choices, usage } = await read(answers.whole);
      assert.equal(pieces.join(""), GOLDEN.answer);
      assert.equal(choices[0].message.content, GOLDEN.answer);
      assert.deepEqual(
        [choices.length, choices[0].message.role, choices[0].finish_reason],
        [1, "assistant", "length"],
      );
      assert.deepEqual(
        [usage.prompt_tokens, usage.completion_tokens],
        [GOLDEN.ids.length, GOLDEN.length],
      );
    });

    it("takes an answer that was cancelled for one that has ended", async () => {
      const { choices } = await read(answers.cancelled);
      assert.equal(choices[0].finish_reason, "cancelled");
    });
  });
}
