// The parser of Markdown with an end to all that it does: what would take it long stays as it was
// written.
//
// It goes into what is nested by calling itself, and looks for the end of each mark in all that
// follows in the same paragraph. So there are bounds to both, which no text that somebody meant
// comes near.

import { Lexer, type Token, type Tokens, type TokensList } from "marked";

/** Quotes and lists within one another, or emphasis within links. */
const DEEPEST = 20;
/** Of a paragraph. */
const MOST_MARKS = 2_000;
const LONGEST_PARAGRAPH = 50_000;
/** Of what is parsed at once: browsers take a second or two for as much. */
const LONGEST = 200_000;

const MARK = /[*_~`[\]<!$\\]/g;

export class BoundedLexer extends Lexer {
  #depth = 0;

  override lex(text: string): TokensList {
    return text.length > LONGEST ? Object.assign([asIs(text)], { links: {} }) : super.lex(text);
  }

  override blockTokens(
    text: string,
    tokens: Token[] = [],
    isClipped?: boolean,
  ): Token[] & TokensList {
    return this.#within(text, tokens, false, () =>
      super.blockTokens(text, tokens, isClipped),
    ) as Token[] & TokensList;
  }

  override inlineTokens(text: string, tokens: Token[] = []): Token[] {
    const isTooMuch =
      text.length > LONGEST_PARAGRAPH || (text.match(MARK)?.length ?? 0) > MOST_MARKS;
    return this.#within(text, tokens, isTooMuch, () => super.inlineTokens(text, tokens));
  }

  #within(text: string, tokens: Token[], isTooMuch: boolean, parse: () => Token[]): Token[] {
    if (isTooMuch || this.#depth > DEEPEST) {
      tokens.push(asIs(text));
      return tokens;
    }
    this.#depth++;
    try {
      return parse();
    } finally {
      this.#depth--;
    }
  }
}

function asIs(text: string): Tokens.Text {
  return { type: "text", raw: text, text, escaped: false };
}
