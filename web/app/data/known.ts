// What is read from elsewhere, built anew from the fields that are known, within bounds. A file
// that was brought is refused for the first thing that is wrong in it; what lies in the database
// already is mended, so that one conversation can never hide the others.

import {
  type Attachment,
  type Contact,
  type Conversation,
  type Draft,
  type Figures,
  type Message,
  type MessageState,
  newId,
  ROOT,
  type Style,
} from "./types.js";

/** Characters of a name, of a line of text, and of all that somebody wrote or a model answered. */
const [NAME, LINE, TEXT] = [200, 10_000, 50_000_000];
/** The last millisecond that dates know. */
const LAST_TIME = 8.64e15;
/** Things of one kind that belong to one other. */
const MANY = 1000;

const PRESETS = ["precise", "balanced", "creative", "own"] as const;
const STATES = ["done", "writing", "stopped", "interrupted", "cut", "failed"] as const;
/** What is taken in place of a style that is none. */
const PLAIN: Style = {
  preset: "own",
  temperature: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  longest: 1024,
};

/** Hears of what is wrong with a value; whoever only mends returns from it. */
export type Hear = (what: string) => void;

const mending: Hear = () => {};

type Fields = Record<string, unknown>;

/** Of a conversation: undefined for what is none. */
export function conversationOf(value: unknown, hear: Hear = mending): Conversation | undefined {
  const id = fieldsOf(value, hear)?.id;
  if (typeof id !== "string" || id === "") return void hear("a conversation has no id");
  const { title, created, updated, instructions, style, chosen, deleted } = value as Fields;
  return {
    id,
    title: text(title, LINE, hear),
    created: time(created, hear),
    updated: time(updated, hear),
    instructions: text(instructions, TEXT, hear),
    style: styleOf(style, hear),
    chosen: chosenOf(chosen, hear),
    ...(deleted !== undefined && { deleted: time(deleted, hear) }),
  };
}

/** Of a message: undefined for what is none. */
export function messageOf(value: unknown, hear: Hear = mending): Message | undefined {
  const fields = fieldsOf(value, hear);
  const { id, conversation, parent, role } = fields ?? {};
  // The key for the beginning is no message: it would come after itself for ever.
  if (typeof id !== "string" || id === "" || id === ROOT || typeof conversation !== "string")
    return void hear("a message has no id");
  if (role !== "user" && role !== "assistant") return void hear("a message is nobody's");
  if (parent !== null && typeof parent !== "string") return void hear("a message has no place");
  const { content, attachments, created, state, model, figures, notes } = fields!;
  return {
    id,
    conversation,
    parent,
    role,
    content: text(content, TEXT, hear),
    attachments: attachmentsOf(attachments, hear),
    created: time(created, hear),
    state: oneOf<MessageState>(state, STATES, "done", hear),
    ...(model !== undefined && { model: text(model, LINE, hear) }),
    ...(figures !== undefined && { figures: figuresOf(figures, hear) }),
    // One that came twice is told once.
    ...(notes !== undefined && {
      notes: [...new Set(list(notes, hear).map((note) => text(note, LINE, hear)))],
    }),
  };
}

export function draftOf(value: unknown): Draft | undefined {
  const { conversation, text: typed, attachments } = fieldsOf(value, mending) ?? {};
  if (typeof conversation !== "string") return undefined;
  return {
    conversation,
    text: text(typed, TEXT, mending),
    attachments: attachmentsOf(attachments, mending),
  };
}

export function contactOf(value: unknown): Contact | undefined {
  const { host, requests, last } = fieldsOf(value, mending) ?? {};
  if (typeof host !== "string") return undefined;
  return {
    host,
    requests: number(requests, 0, Number.MAX_SAFE_INTEGER, 0, mending),
    last: time(last, mending),
  };
}

function fieldsOf(value: unknown, hear: Hear): Fields | undefined {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  return void hear("something is no object");
}

function text(value: unknown, most: number, hear: Hear): string {
  if (typeof value !== "string") hear("a text is none");
  else if (value.length > most) hear("a text is too long");
  return typeof value === "string" ? value.slice(0, most) : "";
}

function number(
  value: unknown,
  least: number,
  most: number,
  otherwise: number,
  hear: Hear,
): number {
  if (typeof value === "number" && least <= value && value <= most) return value;
  hear("a number is out of range");
  return typeof value === "number" && !Number.isNaN(value)
    ? Math.min(Math.max(value, least), most)
    : otherwise;
}

function time(value: unknown, hear: Hear): number {
  return number(value, 0, LAST_TIME, 0, hear);
}

function oneOf<T extends string>(value: unknown, known: readonly T[], otherwise: T, hear: Hear): T {
  if (!known.includes(value as T)) hear("a word is not known");
  return known.find((word) => word === value) ?? otherwise;
}

function list(value: unknown, hear: Hear): unknown[] {
  if (!Array.isArray(value)) hear("a list is none");
  else if (value.length > MANY) hear("a list is too long");
  return Array.isArray(value) ? value.slice(0, MANY) : [];
}

function attachmentsOf(value: unknown, hear: Hear): Attachment[] {
  const taken = new Set<string>();
  return list(value, hear).map((one) => {
    const { id, name, text: content, tokens } = fieldsOf(one, hear) ?? {};
    const isOwn = typeof id === "string" && id.length <= NAME && !taken.has(id);
    if (!isOwn) hear("an attachment has no id of its own");
    const own = isOwn ? id : newId();
    taken.add(own);
    const counted = tokens !== undefined && {
      tokens: number(tokens, 0, Number.MAX_SAFE_INTEGER, 0, hear),
    };
    return { id: own, name: text(name, LINE, hear), text: text(content, TEXT, hear), ...counted };
  });
}

function figuresOf(value: unknown, hear: Hear): Figures {
  const fields = fieldsOf(value, hear) ?? {};
  const figure = (name: keyof Figures) => number(fields[name], 0, Number.MAX_SAFE_INTEGER, 0, hear);
  return {
    tokens: figure("tokens"),
    tokensPerSecond: figure("tokensPerSecond"),
    promptTokens: figure("promptTokens"),
    cachedTokens: figure("cachedTokens"),
    prefillPerSecond: figure("prefillPerSecond"),
    backend: text(fields.backend, LINE, hear),
  };
}

/** What the engine takes; the app's own sliders give less. */
function styleOf(value: unknown, hear: Hear): Style {
  const fields = fieldsOf(value, hear) ?? {};
  const part = (name: Exclude<keyof Style, "preset">, least: number, most: number) =>
    number(fields[name], least, most, PLAIN[name], hear);
  return {
    preset: oneOf(fields.preset, PRESETS, PLAIN.preset, hear),
    temperature: part("temperature", 0, 5),
    topP: part("topP", 0.01, 1),
    minP: part("minP", 0, 1),
    repetitionPenalty: part("repetitionPenalty", 0.1, 10),
    longest: Math.round(part("longest", 1, 1_000_000)),
  };
}

function chosenOf(value: unknown, hear: Hear): Conversation["chosen"] {
  const entries = Object.entries(fieldsOf(value, hear) ?? {});
  const right = entries.filter((entry): entry is [string, string] => typeof entry[1] === "string");
  if (right.length < entries.length) hear("a choice is none");
  return Object.fromEntries(right);
}
