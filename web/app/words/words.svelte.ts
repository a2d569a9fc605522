// The app's languages. English is the pattern: a language that lacks a sentence does not compile.

import type { ProblemName, Said } from "../state/problems.js";
import { type Language, settings } from "../state/settings.svelte.js";
import { en } from "./en.js";

/**
 * Of another language: the engine speaks English, so each problem has a sentence that stands for
 * the engine's.
 */
export type Words = Omit<typeof en, "problems"> & { problems: Record<ProblemName, Required<Said>> };

/** All but the pattern arrive when they are asked for. */
const LATER: Record<Exclude<Language, "en">, () => Promise<Words>> = {
  de: () => import("./de.js").then(({ de }) => de),
};

class Dictionary {
  t: typeof en = $state.raw(en);
  #number = $derived(new Intl.NumberFormat(settings.language, { maximumFractionDigits: 0 }));
  #decimal = $derived(
    new Intl.NumberFormat(settings.language, {
      minimumFractionDigits: 1,
      maximumFractionDigits: 1,
    }),
  );
  #day = $derived(new Intl.DateTimeFormat(settings.language, { dateStyle: "medium" }));
  #moment = $derived(
    new Intl.DateTimeFormat(settings.language, { dateStyle: "medium", timeStyle: "short" }),
  );
  #month = $derived(new Intl.DateTimeFormat(settings.language, { month: "long", year: "numeric" }));
  #ago = $derived(new Intl.RelativeTimeFormat(settings.language, { numeric: "auto" }));

  /** Fetches the language's words and shows them. */
  async speak(language: Language): Promise<void> {
    const words = language === "en" ? en : await LATER[language]();
    if (settings.language === language) this.t = words;
  }

  /** What the engine says of what it does, as far as this language has it. */
  notice(sentence: string): string {
    const known = this.t.notices.map(([pattern, say]) => [pattern.exec(sentence), say] as const);
    const said = known.map(([found, say]) => found && say(...found.slice(1))).filter(Boolean);
    return said.join(" ") || sentence;
  }

  number(value: number): string {
    return this.#number.format(value);
  }

  /** Speeds: a digit after the point where it says something. */
  decimal(value: number): string {
    return value < 100 ? this.#decimal.format(value) : this.#number.format(value);
  }

  /** In the units that shops and phones count in: 1 GB is 10^9 bytes. */
  bytes(value: number): string {
    const [divisor, unit] = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : [1e3, "kB"];
    const amount = value / divisor;
    const format = amount < 10 ? this.#decimal : this.#number;
    return `${format.format(amount)}\u00a0${unit}`;
  }

  /** How long something will take, no more exactly than it can be known. */
  duration(seconds: number): string {
    const [value, unit] =
      seconds < 60
        ? [Math.max(1, Math.round(seconds / 5) * 5), "second"]
        : seconds < 5400
          ? [Math.round(seconds / 60), "minute"]
          : [Math.round(seconds / 3600), "hour"];
    return new Intl.NumberFormat(settings.language, {
      style: "unit",
      unit: unit as string,
      unitDisplay: "long",
    }).format(value as number);
  }

  day(time: number): string {
    return this.#day.format(time);
  }

  moment(time: number): string {
    return this.#moment.format(time);
  }

  month(time: number): string {
    return this.#month.format(time);
  }

  /** "Yesterday", as a heading. */
  daysAgo(days: number): string {
    const words = this.#ago.format(-days, "day");
    return words.charAt(0).toLocaleUpperCase(settings.language) + words.slice(1);
  }
}

export const words = new Dictionary();
