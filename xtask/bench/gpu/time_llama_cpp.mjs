// Times llama.cpp's Vulkan build: `node time_llama_cpp.mjs NAME MODEL.gguf PROMPT GEN`, figures as
// a line of JSON.
//
// A split model is named by its first part. What is timed is what `phi bench` times: the prompt up
// to the choice of the first token, then as many steps as tokens are asked for, whatever they are.
// node-llama-cpp's own steps between tokens are part of it.

import { readFileSync } from "node:fs";
import { getLlama } from "node-llama-cpp";

const [model, modelPath, promptTokens, generatedTokens] = process.argv.slice(2);
const lengths = [promptTokens, generatedTokens].map(Number);

const llama = await getLlama({
  gpu: "vulkan",
  build: "never",
  skipDownload: true,
  logLevel: "warn",
});
const devices = await llama.getGpuDeviceNames();
if (devices.length === 0)
  throw new Error("llama.cpp's Vulkan backend finds no device that it would use");

const begin = performance.now();
const loaded = await llama.loadModel({ modelPath, gpuLayers: "max" });
const context = await loaded.createContext({
  contextSize: Math.max(2048, lengths[0] + lengths[1]),
  batchSize: 512,
});
const loadMs = performance.now() - begin;
const sequence = context.getSequence();

// Milliseconds of prefill and of decoding. Prompts of different `first` ids share nothing that the
// cache could keep.
async function time(first, prompt, generate) {
  const ids = Array.from({ length: prompt }, (_, i) => (first + 31 * i) % 256);
  await sequence.clearHistory();
  const start = performance.now();
  const tokens = sequence.evaluate(ids, { temperature: 0, yieldEogToken: true });
  await tokens.next();
  const prefilled = performance.now();
  for (let step = 0; step < generate; step++) {
    if ((await tokens.next()).done)
      throw new Error(`llama.cpp ended after ${step} of ${generate} tokens`);
  }
  const end = performance.now();
  await tokens.return();
  return [prefilled - start, end - prefilled];
}

await time(1, 8, 1);
await time(3, lengths[0], 1); // Its kernels for many tokens are compiled when they are first used.
const [prefill, decode] = await time(2, ...lengths);
const { version } = JSON.parse(
  readFileSync(new URL("node_modules/node-llama-cpp/package.json", import.meta.url), "utf8"),
);
const figures = {
  engine: "llama.cpp",
  version: `${llama.llamaCppRelease.release} in node-llama-cpp ${version}`,
  host: "native",
  variant: `Vulkan, ${loaded.gpuLayers} layers on ${devices.join(", ")}`,
  backend: "gpu",
  model,
  prompt_tokens: lengths[0],
  generated_tokens: lengths[1],
  prefill_tps: (lengths[0] * 1e3) / prefill,
  decode_tps: (lengths[1] * 1e3) / decode,
  load_ms: loadMs,
};
console.log(JSON.stringify(figures));
process.exit(0); // It would wait for llama.cpp's threads.
