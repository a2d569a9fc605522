// What the user has chosen for good. Small and read before the first paint, so it lies in
// localStorage; conversations never do.

import type { Style } from "../data/types.js";

export type Theme = "system" | "light" | "dark";
export type Language = "en" | "de";
export type Compute = "auto" | "gpu" | "cpu";

interface Kept {
  theme: Theme;
  language: Language;
  compute: Compute;
  /** Load the model that was used last when the app opens; never a download. */
  loadAtStart: boolean;
  /** Let the service worker send the headers that allow several threads. */
  isolate: boolean;
  /** 0 leaves it to the engine. */
  contextLength: number;
  instructions: string;
  style: Style;
  /**
   * A model that is being loaded; still there at the next start, it means that loading killed the
   * tab.
   */
  loading: string;
  /**
   * No conversation gets more tokens than these, after there was no memory for more; 0 for no such
   * bound.
   */
  shortened: number;
}

const KEY = "phi-wasm-settings";

/** A context that leaves room on devices that killed the tab before. */
export const CAREFUL_CONTEXT = 1024;

export const PRESETS: Record<Exclude<Style["preset"], "own">, Style> = {
  precise: {
    preset: "precise",
    temperature: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    longest: 1024,
  },
  balanced: {
    preset: "balanced",
    temperature: 0.7,
    topP: 0.95,
    minP: 0.05,
    repetitionPenalty: 1.05,
    longest: 1024,
  },
  creative: {
    preset: "creative",
    temperature: 1,
    topP: 0.98,
    minP: 0.05,
    repetitionPenalty: 1.05,
    longest: 1024,
  },
};

function preferredLanguage(): Language {
  return navigator.languages.find((tag) => /^(en|de)\b/.test(tag))?.startsWith("de") ? "de" : "en";
}

function defaults(): Kept {
  return {
    theme: "system",
    language: preferredLanguage(),
    compute: "auto",
    loadAtStart: true,
    isolate: false,
    contextLength: 0,
    instructions: "",
    style: { ...PRESETS.balanced },
    loading: "",
    shortened: 0,
  };
}

function read(): Kept {
  try {
    return { ...defaults(), ...known(JSON.parse(localStorage.getItem(KEY) ?? "{}")) };
  } catch {
    return defaults(); // Storage is closed to this page, or something else wrote there.
  }
}

/** The first versions kept no number of tokens, only that these are to be few. */
function known({ careful, ...kept }: Partial<Kept> & { careful?: boolean }): Partial<Kept> {
  return careful ? { shortened: CAREFUL_CONTEXT, ...kept } : kept;
}

export const settings: Kept = $state(read());

/** Keeps what has changed at once: the tab may be killed in the next moment. */
export function set<K extends keyof Kept>(key: K, value: Kept[K]): void {
  if (settings[key] === value) return;
  settings[key] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A private window keeps nothing; the choice holds until it closes.
  }
}

export function wipeSettings(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}
