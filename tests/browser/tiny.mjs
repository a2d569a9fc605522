// A model that even SwiftShader answers with at once: the small random Phi of the golden tests, and
// words for it.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const WEIGHTS = fileURLToPath(new URL("../golden/tiny-phi", import.meta.url));

/** The specials that its config.json counts on, from id 0. */
const SPECIALS = ["<pad>", "<s>", "</s>"];

/**
 * The character that stands for each byte in byte-level vocabularies: itself where it can be seen,
 * else one from U+0100 on.
 */
export function byteTokens() {
  const isSeen = (byte) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  let others = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isSeen(byte) ? byte : others++),
  );
}

function tokenizer() {
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: true,
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
    added_tokens: SPECIALS.map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      vocab: Object.fromEntries([...SPECIALS, ...byteTokens()].map((token, id) => [token, id])),
      merges: [],
    },
  };
}

/**
 * Puts it into a folder of its own: one byte of a text is one token, and a conversation is its
 * messages, a line each.
 */
export function makeTinyModel() {
  const folder = mkdtempSync(join(tmpdir(), "phi-tiny-"));
  const files = {
    "tokenizer.json": tokenizer(),
    "tokenizer_config.json": {
      chat_template: "{% for message in messages %}{{ message.content }}\n{% endfor %}",
    },
  };
  for (const name of ["config.json", "model.safetensors"])
    cpSync(join(WEIGHTS, name), join(folder, name));
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), JSON.stringify(content));
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}
