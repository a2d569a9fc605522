// The tiny Phi of the golden tests, and what transformers answers with it.
//
// Token 17 is the text "<17>": a prompt can be the very tokens that the reference read, and the
// answer is compared with the reference's.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../golden/tiny-phi", import.meta.url));
const { vocab_size: VOCABULARY } = JSON.parse(readFileSync(join(FOLDER, "config.json"), "utf8"));

/** The text of each token. */
export const numbered = (length) => Array.from({ length }, (_, id) => `<${id}>`);
const TOKENS = numbered(VOCABULARY);

/** The token ids of one of the reference's tensors. */
function ids(name) {
  const file = readFileSync(join(FOLDER, "golden.safetensors"));
  const start = 8 + Number(file.readBigUInt64LE());
  const [from, to] = JSON.parse(file.toString("utf8", 8, start))[name].data_offsets;
  return [
    ...new Int32Array(
      file.buffer.slice(file.byteOffset + start + from, file.byteOffset + start + to),
    ),
  ];
}

const text = (ids) => ids.map((id) => TOKENS[id]).join("");

/**
 * A prompt, and the likeliest tokens after it. They go on; an answer ends by itself some hundred
 * tokens later.
 */
const [READ, ANSWERED] = [ids("short.ids"), ids("greedy.ids")];
export const GOLDEN = {
  prompt: text(READ),
  ids: READ,
  answer: text(ANSWERED),
  length: ANSWERED.length,
};
/** A prompt that is answered for as long as may be. */
export const ENDLESS = TOKENS[5];
/** What loads the weights as the reference has them. */
export const EXACT = { bits: 32 };

/**
 * The first three are control tokens. The others are words that anybody may say, each found whole
 * in the vocabulary.
 */
export function numberedTokenizer(tokens) {
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  };
  const words = {
    type: "Split",
    pattern: { Regex: "<\\d+>" },
    behavior: "Isolated",
    invert: false,
  };
  const flags = {
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  };
  return {
    version: "1.0",
    added_tokens: tokens.slice(0, 3).map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [words, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      ignore_merges: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [],
    },
  };
}

/**
 * A conversation is its messages, one after another; the system's begins with a token that says so.
 */
const TEMPLATE =
  `{% for message in messages %}{% if message.role == "system" %}${TOKENS[4]}{% endif %}` +
  "{{ message.content }}{% endfor %}";

/** Puts it into a folder of its own. */
export function makeGoldenModel() {
  const folder = mkdtempSync(join(tmpdir(), "phi-golden-"));
  const files = {
    "tokenizer.json": numberedTokenizer(TOKENS),
    "tokenizer_config.json": { chat_template: TEMPLATE },
  };
  for (const name of ["config.json", "model.safetensors"])
    cpSync(join(FOLDER, name), join(folder, name));
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), JSON.stringify(content));
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}
