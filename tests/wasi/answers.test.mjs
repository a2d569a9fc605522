// The `phi` WASI module under node's WASI and under wasmtime: both give the reference's answers.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

/** What `cargo xtask test` sets: the module, the model, and a Python with wasmtime. */
const [module, model, python] = ["PHI_WASI", "PHI_SMOLLM2", "PHI_PYTHON"].map((name) => {
  if (!process.env[name]) throw new Error(`${name} is not set: run \`cargo xtask test\``);
  return process.env[name];
});
const here = (file) => new URL(file, import.meta.url).pathname;
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
