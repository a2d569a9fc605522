// Markdown that grows: finished blocks stay as they are in the page, only the last one is made
// anew.

import type { Token, Tokens } from "marked";
import { isFormula, mended } from "./formulas.js";
import { highlight } from "./highlight.js";
import { blocksOf, isClosedFence, renderBlock } from "./render.js";
import { setFormulas } from "./setting.js";

export interface CodeTools {
  /** Puts what belongs beside a block of code (its language, a button to copy) into its frame. */
  frame(pre: HTMLPreElement): void;
}

export class MarkdownStream {
  /** All of the text so far. */
  #text = "";
  /** Where the block begins that may still change. */
  #tail = 0;
  /** The nodes of that block. */
  #open: ChildNode[] = [];
  /** The text node of a fence that is being written. */
  #fence: { start: number; text: Text } | undefined;
  #finished = false;

  constructor(
    readonly container: HTMLElement,
    readonly tools: CodeTools,
  ) {}

  /** Shows `text`. If it goes on from what is shown, only what is new is parsed. */
  update(text: string, finished: boolean): void {
    // A text that was finished and goes on after all may go on in the middle of its last block.
    if (!text.startsWith(this.#text) || (this.#finished && text !== this.#text)) this.#clear();
    this.#text = text;
    this.#finished = finished;
    const blocks = blocksOf(text.slice(this.#tail), !finished);
    const last = blocks.findLastIndex(({ type }) => type !== "space");
    // What follows a block settles it: a list may go on after an empty line, a paragraph may become
    // a heading or a table.
    for (const [index, block] of blocks.entries()) {
      if (index >= last && !finished) break;
      this.#settle(block);
    }
    if (finished) this.#tail = text.length;
    else if (last >= 0) this.#preview(blocks[last]!);
  }

  #clear(): void {
    this.container.replaceChildren();
    this.#tail = 0;
    this.#open = [];
    this.#fence = undefined;
  }

  /** A block that will not change any more. */
  #settle(block: Token): void {
    this.#tail += block.raw.length;
    if (block.type === "space") return;
    this.#replace(renderBlock(block));
    for (const node of this.#open) if (node instanceof HTMLElement) this.#dress(node);
    this.#open = [];
    this.#fence = undefined;
  }

  /** The last block as far as it goes, with what is half-typed closed. */
  #preview(block: Token): void {
    if (block.type === "code" && !isClosedFence(block))
      return this.#previewFence(block as Tokens.Code);
    this.#fence = undefined;
    // Remending moves no borders between blocks, but it can end a link or a fence: so it is parsed
    // once more.
    const fragment = document.createDocumentFragment();
    const tokens =
      block.type === "code" || isFormula(block) ? [block] : blocksOf(mended(block.raw), true);
    for (const token of tokens) if (token.type !== "space") fragment.append(renderBlock(token));
    this.#replace(fragment);
  }

  /** Code that is being written grows letter by letter: a reader may have selected some of it. */
  #previewFence({ text }: Tokens.Code): void {
    if (this.#fence?.start === this.#tail && text.startsWith(this.#fence.text.data)) {
      this.#fence.text.appendData(text.slice(this.#fence.text.data.length));
      return;
    }
    const pre = document.createElement("pre");
    pre.dir = "ltr";
    const code = document.createElement("code");
    this.#fence = { start: this.#tail, text: document.createTextNode(text) };
    code.append(this.#fence.text);
    pre.append(code);
    this.#replace(pre);
  }

  #replace(fresh: Node): void {
    const nodes = fresh instanceof DocumentFragment ? [...fresh.childNodes] : [fresh as ChildNode];
    for (const node of this.#open) node.remove();
    this.container.append(...nodes);
    this.#open = nodes;
    setFormulas(nodes);
  }

  #dress(element: HTMLElement): void {
    const blocks =
      element instanceof HTMLPreElement ? [element] : [...element.querySelectorAll("pre")];
    for (const pre of blocks) {
      const code = pre.querySelector("code");
      if (code) void highlight(code);
      this.tools.frame(pre);
    }
  }
}
