// Our shapes and those of OpenAI's client, for a strict compiler: they fit but for what the
// package's README names.
import type OpenAI from "openai";
import type { ParsedChatCompletionMessage } from "openai/resources/chat/completions";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatRequest,
  Completion,
  CompletionRequest,
  Phi,
} from "phi-wasm";

/** An answer may end with "cancelled". */
type Ended<Choice extends { finish_reason: unknown }> = Omit<Choice, "finish_reason"> & {
  finish_reason: Choice["finish_reason"] | "cancelled";
};
/** There is no `refusal`. */
type Said<Choice extends { message: object }> = Omit<Choice, "message"> & {
  message: Omit<Choice["message"], "refusal">;
};
/** An echoed prompt's first token has nothing before it. */
type Echoed<Choice extends { logprobs: object | null }> = Omit<Choice, "logprobs"> & {
  logprobs:
    | (Omit<NonNullable<Choice["logprobs"]>, "token_logprobs" | "top_logprobs"> & {
        token_logprobs?: (number | null)[];
        top_logprobs?: (Record<string, number> | null)[];
      })
    | null;
};
type With<Choice, Answer> = Omit<Answer, "choices"> & { choices: Choice[] };

export const whole = (
  it: ChatCompletion,
): With<Ended<Said<OpenAI.ChatCompletion.Choice>>, OpenAI.ChatCompletion> => it;
export const chunk = (
  it: ChatCompletionChunk,
): With<Ended<OpenAI.ChatCompletionChunk.Choice>, OpenAI.ChatCompletionChunk> => it;
export const text = (
  it: Completion,
): With<Ended<Echoed<OpenAI.CompletionChoice>>, OpenAI.Completion> => it;

/** What is complete of an answer in JSON, where OpenAI's client has it that parses. */
export const parsed = (
  it: ChatCompletion,
): Pick<ParsedChatCompletionMessage<unknown>, "parsed"> => ({
  parsed: it.choices[0].message.parsed ?? null,
});

/** What is asked of OpenAI's client in words alone can be asked of ours. */
type Common =
  | "max_tokens"
  | "temperature"
  | "top_p"
  | "stop"
  | "seed"
  | "frequency_penalty"
  | "presence_penalty"
  | "logit_bias";

export async function ask(
  phi: Phi,
  system: OpenAI.ChatCompletionSystemMessageParam,
  question: string,
): Promise<string> {
  const messages = [
    system,
    { role: "user", content: question } satisfies OpenAI.ChatCompletionUserMessageParam,
  ];
  const asked: Pick<
    OpenAI.ChatCompletionCreateParams,
    "model" | "max_completion_tokens" | "response_format" | Common
  > = { model: "any" };
  const request: ChatRequest = { ...asked, messages };
  const options: Pick<OpenAI.RequestOptions, "signal"> = { signal: AbortSignal.abort() };
  const { choices } = await phi.chat.completions.create(
    { ...request, stream: false },
    { signal: options.signal! },
  );
  return choices[0].message.content ?? "";
}

export const complete = (
  asked: Pick<OpenAI.CompletionCreateParams, Common>,
): CompletionRequest => ({ ...asked, prompt: "Hello" });

// @ts-expect-error What ended with "cancelled" is nothing that OpenAI's client knows.
export const known = (it: ChatCompletionChunk): OpenAI.ChatCompletionChunk => it;
