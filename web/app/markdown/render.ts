// Markdown to nodes that are safe to show: no scripts, no markup of the model's own, nothing that
// makes a request.

import DOMPurify, { type Config } from "dompurify";
import { Marked, type Token, type Tokens } from "marked";
import { policy } from "../../shared/trusted.js";
import { formulas } from "./formulas.js";
import { BoundedLexer } from "./lexer.js";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => escapes[character]!);
}

function parser(grows: boolean): Marked {
  return new Marked(
    {
      gfm: true,
      renderer: {
        // An image's address could carry the conversation to a stranger: it is shown, not fetched.
        image: ({ text, href }) =>
          `<span class="image">${escaped(text || href)} <span>(${escaped(href)})</span></span>`,
        html: ({ text }) => escaped(text),
        code: ({ text, lang }) =>
          "<pre><code " +
          `data-language="${escaped(lang?.split(/\s/)[0] ?? "")}">${escaped(text)}</code></pre>`,
        checkbox: ({ checked }) => `<span class="box">${checked ? "☑" : "☐"} </span>`,
      },
    },
    formulas(grows, escaped),
  );
}

const whole = parser(false);
const growing = parser(true);

const ALLOWED_TAGS = `a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong
  sub sup table tbody td th thead tr ul`.split(/\s+/);
const ALLOWED_ATTR = ["href", "title", "align", "start", "class", "data-language"];

function finish(fragment: DocumentFragment): DocumentFragment {
  fragment.querySelectorAll("a").forEach(secure);
  fragment.querySelectorAll("table").forEach(makeScroll);
  // A page has one first heading, and it is not the model's.
  for (const heading of fragment.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const lower = document.createElement(`h${Math.min(6, Number(heading.tagName[1]) + 2)}`);
    lower.append(...heading.childNodes);
    heading.replaceWith(lower);
  }
  for (const box of fragment.querySelectorAll(".box")) box.closest("li")?.classList.add("task");
  direct(fragment);
  return fragment;
}

/** Links leave the app in a tab of their own that learns nothing of where it came from. */
function secure(link: HTMLAnchorElement): void {
  if (!/^(https?|mailto):/.test(link.getAttribute("href") ?? "")) link.removeAttribute("href");
  link.target = "_blank";
  link.rel = "noopener noreferrer";
}

/** What is too wide is scrolled by itself. */
function makeScroll(table: HTMLTableElement): void {
  const scroller = document.createElement("div");
  scroller.className = "table";
  scroller.tabIndex = 0;
  table.replaceWith(scroller);
  scroller.append(table);
}

/**
 * Each block is written from the side that its words are written from; code and formulas, which say
 * nothing of that, from the left.
 */
function direct(fragment: DocumentFragment): void {
  for (const ltr of fragment.querySelectorAll<HTMLElement>("pre, code, .formula")) ltr.dir = "ltr";
  for (const block of fragment.children)
    if (block instanceof HTMLElement && !block.dir) block.dir = "auto";
}

/** By our policy, where pages may not parse markup as they like. */
function clean(html: string): DocumentFragment {
  const trusted = policy() as unknown as Config["TRUSTED_TYPES_POLICY"];
  const rules = {
    ALLOWED_TAGS,
    ALLOWED_ATTR,
    ALLOW_DATA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  } as const;
  return trusted
    ? DOMPurify.sanitize(html, { ...rules, TRUSTED_TYPES_POLICY: trusted })
    : DOMPurify.sanitize(html, rules);
}

/**
 * The blocks of a text: paragraphs, lists, fences … Of one that grows, the last may not be what it
 * looks like.
 */
export function blocksOf(markdown: string, grows: boolean): Token[] {
  return new BoundedLexer((grows ? growing : whole).defaults).lex(markdown);
}

export function renderBlock(token: Token): DocumentFragment {
  const html = whole.parser([token]);
  return finish(clean(html));
}

/** A fence that has its last line already; code that is indented has no fence. */
export function isClosedFence(token: Token): boolean {
  const { raw, codeBlockStyle } = token as Tokens.Code;
  if (codeBlockStyle === "indented") return true;
  const fence = /^ {0,3}(`{3,}|~{3,})/.exec(raw)?.[1] ?? "```";
  return new RegExp(`\\n {0,3}${fence[0]}{${fence.length},}[ \\t]*\\n*$`).test(raw);
}
