// What a strict compiler must take, and what it must refuse.
import {
  type ChatCompletionChunk,
  GpuError,
  Phi,
  PhiError,
  type Progress,
  RoundsError,
  type ToolFunction,
} from "phi-wasm";
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

const weather: ToolFunction = {
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  run: async ({ city }: { city: string }, { signal }) => (await fetch(city, { signal })).text(),
};

export async function help(phi: Phi): Promise<string> {
  const messages = [{ role: "user" as const, content: "Hello" }];
  const onMessage = ({ role }: { role: string }) => console.log(role);
  try {
    const { text, rounds } = await phi.runTools(
      { messages, functions: [weather], maxRounds: 3, tool_choice: "required" },
      { onMessage, signal: AbortSignal.timeout(1000) },
    );
    return `${text} ${rounds.toFixed()}`;
  } catch (error) {
    return error instanceof RoundsError ? `${error.messages.length}` : "";
  }
}

// @ts-expect-error Who runs tools has the answers by onChunk.
export const streamed = (phi: Phi) => phi.runTools({ messages: [], functions: [], stream: true });

export const isGpu = (error: unknown): boolean =>
  error instanceof GpuError && error instanceof PhiError && error.code === "no-gpu";
export const models = [createPhi({ backend: "cpu" })("https://host/model.gguf"), phiModel];
export const hooks = [usePhi, useChat];
