// Formulas among Markdown, in LaTeX's brackets: \( … \), \[ … \] and $$ … $$. A lone $ is money.

import type { MarkedExtension, Token, Tokens } from "marked";
import remend from "remend";

const BRACKETS = [
  ["\\(", "\\)"],
  ["\\[", "\\]"],
  ["$$", "$$"],
] as const;

/** Longer ones are shown as text. */
const LONGEST = 4_000;

export interface Formula extends Tokens.Generic {
  type: "formula" | "shown-formula";
  /** Its end is still to come. */
  open: boolean;
}

export function isFormula(token: Token): token is Formula {
  return token.type === "formula" || token.type === "shown-formula";
}

/**
 * How a text begins: with a whole formula, of this length, with one whose end is not there, or with
 * none.
 */
function look(text: string): number | "open" | undefined {
  const pair = BRACKETS.find(([open]) => text.startsWith(open));
  if (!pair || text.startsWith("$$$")) return undefined;
  const near = text.slice(0, LONGEST);
  const end = near.indexOf(pair[1], 2);
  const inner = near.slice(2, end < 0 ? undefined : end);
  // An empty line ends whatever it stands in, so that what was shown of a text once stays as it is.
  if (/\n[ \t]*\n/.test(inner)) return undefined;
  if (end < 0) return text.length < LONGEST ? "open" : undefined;
  return inner.trim() && near[end + 2] !== "$" ? end + 2 : undefined;
}

/** On lines of their own. */
function standsAlone(text: string): { length: number; open: boolean } | undefined {
  const indent = /^ {0,3}(?=\\\[|\$\$)/.exec(text)?.[0].length;
  if (indent === undefined) return undefined;
  const found = look(text.slice(indent));
  if (found === "open") return { length: text.length, open: true };
  if (found === undefined) return undefined;
  const rest = /^[ \t]*(?:\n+|$)/.exec(text.slice(indent + found));
  return rest ? { length: indent + found + rest[0].length, open: false } : undefined;
}

/** Where one of those begins that ends the paragraph before it. */
function nextAlone(text: string): number | undefined {
  const paragraph = /\n[ \t]*\n/.exec(text)?.index;
  const begins = /\n(?= {0,3}(?:\\\[|\$\$))/g;
  for (const { index } of text.slice(0, paragraph).matchAll(begins))
    if (standsAlone(text.slice(index + 1))) return index;
  return undefined;
}

/**
 * `growing`: the end of a formula may still come. Until it is there, nothing in it is taken for a
 * list or a heading.
 */
export function formulas(growing: boolean, escaped: (text: string) => string): MarkedExtension {
  const render = (tag: string, { raw, open }: Formula) =>
    `<${tag}${open ? "" : ' class="formula"'}>${escaped(raw.trim())}</${tag}>`;
  return {
    extensions: [
      {
        name: "shown-formula",
        level: "block",
        start: nextAlone,
        tokenizer(text) {
          const found = standsAlone(text);
          if (!found || (found.open && !growing)) return undefined;
          return { type: "shown-formula", raw: text.slice(0, found.length), open: found.open };
        },
        renderer: (token) => render("p", token as Formula),
      },
      {
        name: "formula",
        level: "inline",
        // Marked stops at backslashes by itself.
        start: (text) => (text.includes("$$") ? text.indexOf("$$") : undefined),
        tokenizer(text) {
          const length = look(text);
          return typeof length === "number"
            ? { type: "formula", raw: text.slice(0, length), open: false }
            : undefined;
        },
        renderer: (token) => render("span", token as Formula),
      },
    ],
    // Stars and underscores in a formula begin and end nothing outside of it.
    hooks: { emStrongMask: masked },
  };
}

function masked(text: string): string {
  const bracket = /\\[([\\]|\$\$/g;
  let done = "";
  for (let at = 0; ; ) {
    bracket.lastIndex = at;
    const next = bracket.exec(text)?.index;
    if (next === undefined) return done + text.slice(at);
    const length = look(text.slice(next, next + LONGEST + 1));
    const isWhole = typeof length === "number";
    const end = next + (isWhole ? length : 2);
    done += text.slice(at, next) + (isWhole ? "a".repeat(length) : text.slice(next, end));
    at = end;
  }
}

/**
 * What is half-typed, closed; but for what comes before a formula, since stars and underscores mean
 * something else in one.
 */
export function mended(text: string): string {
  let end = 0;
  let isOpen = false;
  for (const { 0: bracket, index } of text.matchAll(/\\[()[\]]|\$\$/g)) {
    isOpen = bracket === "$$" ? !isOpen : bracket === "\\(" || bracket === "\\[";
    end = index + 2;
  }
  return isOpen ? text : text.slice(0, end) + remend(text.slice(end), { katex: false });
}
