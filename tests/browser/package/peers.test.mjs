// What somebody with Node.js 20 sees, on which npm takes `ai` 6, and the package's provider is for
// `ai` 7.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bare, nodeProgram, npm, packed, run } from "../samples.mjs";

/** The last `ai` that Node.js 20 is enough for. */
const AI_6 = "^6.0.326";

const QUICK = ["--no-audit", "--no-fund", "--prefer-offline"];
const FORCED = ["install", "--legacy-peer-deps", "--no-save", "--no-package-lock", ...QUICK];

/** What npm says that it would install, or why not; a lock file in the folder tells the former. */
const install = (folder, ...args) =>
  npm(folder, 20, "install", "--package-lock-only", ...QUICK, ...args);

/** Runs a module's text under Node.js 20. */
const evaluate = async (folder, script) =>
  run(folder, await nodeProgram(20), "--input-type=module", "--eval", script);

describe("the AI SDK on Node.js 20", () => {
  it("is ai 7 beside the package, and npm says that it is for Node.js 22", async () => {
    const folder = await bare("peers");
    const { stderr } = await install(folder, packed().tarball, "ai");
    const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
    assert.match(packages["node_modules/ai"].version, /^7\./);
    assert.match(packages["node_modules/@ai-sdk/provider"].version, /^4\./);
    assert.match(
      stderr,
      /EBADENGINE.*package: 'ai@7.*required: \{ node: '>=22' \}.*current: \{ node: 'v20\./s,
    );
  });

  it("is no ai 6 beside the package, and npm says why", async () => {
    const folder = await bare("peers", { dependencies: { ai: AI_6 } });
    await assert.rejects(
      install(folder, packed().tarball),
      /ERESOLVE.*Found: ai@6\..*peerOptional ai@"\^7\.0\.0" from phi-wasm/s,
    );
  });

  it("is refused by the provider, in words, where ai 6 is there all the same", async () => {
    const folder = await bare("peers", { dependencies: { ai: AI_6 } });
    await npm(folder, 20, ...FORCED, packed().tarball);
    const script = `import { createPhi, phiModel } from "phi-wasm/ai-sdk";
      for (const make of [createPhi, phiModel]) {
        try {
          make();
        } catch ({ name, code, message }) {
          console.log(JSON.stringify([name, code, message]));
        }
      }`;
    const { stdout } = await evaluate(folder, script);
    const errors = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(errors.length, 2);
    for (const [name, code, message] of errors) {
      assert.deepEqual([name, code], ["InputError", "bad-option"]);
      assert.match(message, /needs ai 7 .*ai 6.*Node\.js 20: install ai@7, with Node\.js 22/);
    }
  });

  it("refuses the model itself where ai 6 has new specifications, as the README says", async () => {
    const folder = await bare("peers", {
      node: 22,
      dependencies: { ai: AI_6, "@ai-sdk/provider": "^4.0.38", zod: "^4.0.0" },
    });
    await npm(folder, 20, ...FORCED, packed().tarball);
    const script = `import { generateText } from "ai";
      import { createPhi } from "phi-wasm/ai-sdk";
      const model = createPhi()("/model.gguf");
      await generateText({ model, prompt: "Hello" }).catch(({ message }) => console.log(message));`;
    const { stdout } = await evaluate(folder, script);
    const [sentence] = /Unsupported model version v4/.exec(stdout) ?? assert.fail(stdout);
    assert.ok(readFileSync(join(packed().folder, "README.md"), "utf8").includes(sentence));
  });
});
