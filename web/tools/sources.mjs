// Lets Node run the page's sources as they are: without their types, and with Svelte's runes as
// plain values.
//
//   node --import ./sources.mjs …

import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { transformSync } from "rolldown/utils";

if (isMainThread) register(import.meta.url);

/** Sources name one another as what they become. */
export async function resolve(name, context, next) {
  return next(name, context).catch((error) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !/^\..*\.js$/.test(name)) throw error;
    return next(name.replace(/js$/, "ts"), context);
  });
}

export async function load(url, context, next) {
  if (!url.endsWith(".ts")) return next(url, context);
  const path = fileURLToPath(url);
  const { code, errors } = transformSync(path, await readFile(path, "utf8"));
  if (errors.length > 0) throw new SyntaxError(`${path}: ${errors[0].message}`);
  const source = url.endsWith(".svelte.ts") ? await withoutRunes(code) : code;
  return { format: "module", shortCircuit: true, source };
}

async function withoutRunes(code) {
  const { compileModule } = await import("svelte/compiler");
  return compileModule(code, { generate: "server" }).js.code;
}
