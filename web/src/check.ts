// What callers give, looked at before it goes on: what cannot be is refused by its name, in a
// sentence of ours.

import { InputError } from "./errors.js";

/** Whether a value is right, and what it must be, in words. */
export type Check = [isRight: (value: unknown) => boolean, words: string];

export const ANYTHING: Check = [() => true, "anything"];
export const TEXT: Check = [(value) => typeof value === "string", "a text"];
export const FLAG: Check = [(value) => typeof value === "boolean", "true or false"];
export const LISTENER: Check = [(value) => typeof value === "function", "a function"];
export const SIGNAL: Check = [
  (value) => isObject(value) && "aborted" in value && "addEventListener" in value,
  "an AbortSignal",
];
export const ADDRESS: Check = [
  (value) => typeof value === "string" || value instanceof URL,
  "an address",
];

export function oneOf(...values: readonly (string | number)[]): Check {
  const listed = values.map((value) => JSON.stringify(value));
  return [
    (value) => values.includes(value as string),
    [listed.slice(0, -1).join(", "), listed.at(-1)].filter(Boolean).join(" or "),
  ];
}

export function whole(least: number, most: number): Check {
  return [
    (value) => Number.isInteger(value) && least <= (value as number) && (value as number) <= most,
    `a whole number from ${least} to ${most}`,
  ];
}

export function refuse(sentence: string): never {
  throw new InputError("bad-option", sentence);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The options that were given, all of them known and right; null is as good as nothing. */
export function checked<T extends object>(
  what: string,
  given: T | null | undefined,
  known: Record<string, Check>,
): T {
  if (!isObject(given)) refuse(`${what} takes an object of options, and was given ${shown(given)}`);
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    if (!Object.hasOwn(known, name))
      refuse(`${name} is no option of ${what}: check its spelling, or leave it out`);
    const [isRight, words] = known[name]!;
    if (!isRight(value)) refuse(`${name} is ${shown(value)}: it must be ${words}`);
    options[name] = value;
  }
  return options as T;
}

/** A value in a sentence. */
export function shown(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
