// The `phi` WASI module under node's WASI and under wasmtime: both give the reference's answers.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { makeRandomModel, TINY } from "../browser/random-model.mjs";

/** What `cargo xtask test` sets: the module, the model, and a Python with wasmtime. */
const [module, model, python] = ["PHI_WASI", "PHI_SMOLLM2", "PHI_PYTHON"].map((name) => {
  if (!process.env[name]) throw new Error(`${name} is not set: run \`cargo xtask test\``);
  return process.env[name];
});
const here = (file) => new URL(file, import.meta.url).pathname;
const random = makeRandomModel(TINY);
const answers = JSON.parse(readFileSync(here("../golden/smollm2/answers.json"), "utf8"));
const runtimes = {
  node: ["node", "--no-warnings", here("run.mjs")],
  wasmtime: [python, here("run.py")],
};

for (const [runtime, [program, ...before]] of Object.entries(runtimes)) {
  describe(runtime, () => {
    for (const { name, prompt, answer } of answers) {
      it(`answers ${name} as the reference does`, () => {
        const options = ["--model", model, "--temperature", "0", "--max-tokens", "64", "--raw"];
        const said = execFileSync(program, [...before, module, "run", ...options, prompt], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "inherit"],
        });
        assert.equal(said.trimEnd(), answer);
      });
    }

    it("times a synthetic model that it writes once", () => {
      const cache = mkdtempSync(join(tmpdir(), "phi-"));
      try {
        const options = [
          "--json",
          "--shape",
          "tiny",
          "--prompt",
          "12",
          "--gen",
          "3",
          "--cache",
          cache,
        ];
        const bench = () =>
          JSON.parse(
            execFileSync(program, [...before, module, "bench", ...options], {
              encoding: "utf8",
              stdio: ["ignore", "pipe", "inherit"],
            }),
          );
        const written = () =>
          readdirSync(cache, { recursive: true }).map((name) => [
            name,
            statSync(join(cache, name)).mtimeMs,
          ]);
        const { host, backend, threads, model, prompt_tokens, generated_tokens } = bench();
        assert.deepEqual(
          [host, backend, threads, model, prompt_tokens, generated_tokens],
          [runtime, "cpu", 1, "tiny", 12, 3],
        );
        const first = written();
        bench();
        assert.deepEqual(written(), first);
      } finally {
        rmSync(cache, { recursive: true });
      }
    });

    it("keeps what it has read for the next time", () => {
      const folder = mkdtempSync(join(tmpdir(), "phi-"));
      try {
        const options = ["--model", random, "--temperature", "0", "--max-tokens", "8"];
        const kept = ["--prefix-cache", join(folder, "pages"), "--stats", "json"];
        const prompt = "How are you today? ".repeat(12);
        const ask = () => {
          const { stdout, stderr } = spawnSync(
            program,
            [...before, module, "run", ...options, ...kept, prompt],
            { encoding: "utf8" },
          );
          return {
            said: stdout,
            known: JSON.parse(stderr.trim().split("\n").at(-1)).cached_tokens,
          };
        };
        const first = ask();
        assert.equal(first.known, 0);
        const again = ask();
        assert.equal(again.said, first.said);
        assert.ok(again.known >= 64, `${again.known} tokens were known`);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it("says what is wrong with a model that is not there", () => {
      const call = () =>
        execFileSync(program, [...before, module, "run", "--model", "/nowhere.gguf", "Hello"], {
          encoding: "utf8",
          stdio: "pipe",
        });
      assert.throws(
        call,
        ({ status, stderr }) => status !== 0 && /nowhere\.gguf.*\[not-found\]/.test(stderr),
      );
    });
  });
}
