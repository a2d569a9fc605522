// Colours for code. The highlighter arrives with the first fence that closes, and each language is
// known by its short names too.

import type { HLJSApi } from "highlight.js";
import { policy } from "../../shared/trusted.js";

let loading: Promise<HLJSApi> | undefined;

/** Colours a finished block of code in place, if its language is known. */
export async function highlight(code: HTMLElement): Promise<void> {
  const language = code.dataset.language?.toLowerCase();
  if (!language) return;
  loading ??= import("./languages.js").then(({ hljs }) => hljs);
  const hljs = await loading;
  if (!hljs.getLanguage(language)) return;
  // The highlighter escapes all text, so what it gives is markup of its own and nothing else.
  const { value } = hljs.highlight(code.textContent ?? "", { language, ignoreIllegals: true });
  code.innerHTML = policy()?.createHTML(value) ?? value;
}
