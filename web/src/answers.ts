// Answers in a shape, out of the engine's events.

import { cancelled } from "./errors.js";
import * as openai from "./openai.js";
import type { Event } from "./protocol.js";
import type { Stats } from "./types.js";

/** So many answers to a request, one after the other in the events, whole. */
export async function whole<Whole>(
  events: AsyncIterable<Event>,
  count: number,
  shape: openai.Shape<unknown, Whole>,
): Promise<Whole> {
  const answers: openai.Answered[] = [];
  const ends: Stats[] = [];
  let told = openai.nothingTold();
  for await (const event of events) {
    if (event.kind === "text") openai.tell(told, event);
    if (event.kind === "call") openai.addCall(told.calls, event);
    if (event.kind === "parsed") told.parsed = openai.parsedOf(event.json);
    if (event.kind !== "done" || event.finish === "cancelled") continue;
    ends.push(event);
    answers.push({ ...told, finish: event.finish });
    told = openai.nothingTold();
    if (answers.length === count) return shape.whole(answers, openai.usageOf(ends));
  }
  throw cancelled("the answer");
}

/** Answers to a request, in pieces. */
export async function* pieces<Chunk>(
  events: AsyncIterable<Event>,
  { n, stream_options }: openai.Sampling,
  shape: openai.Shape<Chunk, unknown>,
): AsyncGenerator<Chunk, void> {
  const ends: Stats[] = [];
  // One answer after the other; the engine's last word comes after the last.
  let index = 0;
  let parsed: unknown;
  yield* shape.first(index);
  for await (const event of events) {
    if (event.kind === "text") yield shape.piece(index, event);
    if (event.kind === "call") yield shape.call(index, event);
    if (event.kind === "parsed") parsed = openai.parsedOf(event.json);
    if (event.kind !== "done") continue;
    ends.push(event);
    if (ends.length >= (n ?? 1) || event.finish === "cancelled") continue;
    yield shape.last(index, event.finish, parsed);
    parsed = undefined;
    yield* shape.first(++index);
  }
  // One that was cancelled before its turn has no figures.
  yield shape.last(index, ends[index]?.finish ?? "cancelled", parsed);
  if (ends.length > 0 && stream_options?.include_usage) yield shape.usage(openai.usageOf(ends));
}
