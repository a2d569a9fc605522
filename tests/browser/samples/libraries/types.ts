// What a strict compiler must take, and what it must refuse.
import { type ChatCompletionChunk, GpuError, Phi, PhiError, type Progress } from "phi-wasm";
import { createPhi, phiModel } from "phi-wasm/ai-sdk";
import { useChat, usePhi } from "phi-wasm/react";

export async function ask(file: File): Promise<string> {
  const phi = await Phi.load({
    model: file,
    backend: "auto",
    onProgress: ({ phase, secondsLeft }: Progress) => console.log(phase, secondsLeft?.toFixed()),
  });
  const { create } = phi.chat.completions;
  const pieces: AsyncIterable<ChatCompletionChunk> = await create({
    messages: [{ role: "user", content: "Hello" }],
    stream: true,
  });
  for await (const { choices } of pieces) console.log(choices[0]?.delta.content);
  const whole = await create(
    { messages: [{ role: "user", content: "Hello" }] },
    { signal: AbortSignal.timeout(1000) },
  );
  const text: string = (await phi.complete({ prompt: "Hello" })).choices[0]?.text ?? "";
  const backend: "gpu" | "cpu" = phi.description.device;
  // @ts-expect-error There is no such backend.
  await Phi.load({ model: file, backend: "tpu" });
  // @ts-expect-error How many is a number.
  await create({ messages: [], n: "2" });
  const [decision] = await phi.decide({ messages: [], choices: ["yes", "no"] });
  const odds: number | undefined = decision?.probability;
  const { tokens, logprob } = await phi.score("Hello");
  console.log(odds, tokens[0]?.top_logprobs, logprob, whole.choices[0].logprobs?.content);
  return whole.choices[0].message.content + text + backend;
}

export const isGpu = (error: unknown): boolean =>
  error instanceof GpuError && error instanceof PhiError && error.code === "no-gpu";
export const models = [createPhi({ backend: "cpu" })("https://host/model.gguf"), phiModel];
export const hooks = [usePhi, useChat];
