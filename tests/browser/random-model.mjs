// Models with random weights, for tests that are not about what a model knows: GGUF files as small
// as a test wants them, the same every time.
//
// Tokens are bytes, and some short words. What is answered is made of letters and words, so that it
// can be read, searched and shown; it depends on every byte of the prompt. Some answers end by
// themselves, others go on for as long as they may.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { byteTokens } from "./tiny.mjs";

// Other seeds have other answers: too long, or none that is long enough.

/** It answers at once, even on a CPU that plays a GPU: 1.6 MB. */
export const TINY = { seed: 2, layers: 4, hidden: 256, intermediate: 512, heads: 8, kvHeads: 4 };
/** It takes a while to come, and some seconds for a long answer: 28 MB. */
export const SMALL = { seed: 5, layers: 14, hidden: 512, intermediate: 1536, heads: 8, kvHeads: 4 };

/**
 * What the native command answers with them: see make.mjs beside the file. The endless ones are
 * only begun there.
 */
export const RANDOM_ANSWERS = JSON.parse(
  readFileSync(new URL("../golden/random/answers.json", import.meta.url), "utf8"),
);

const SPECIALS = ["<pad>", "<s>", "</s>"];
const [BEGIN, END] = [1, 2];
/** How words begin; each may end in any of five vowels. */
const ONSETS = "b c d f g h j k l m n p q r s t v w x y z ch sh th br".split(" ");
const MERGES = [
  ...ONSETS.map((onset) => [`Ġ${onset.slice(0, -1)}`, onset.at(-1)]),
  ...ONSETS.flatMap((onset) => [..."aeiou"].map((vowel) => [`Ġ${onset}`, vowel])),
];
const TOKENS = [...SPECIALS, ...byteTokens(), ...MERGES.map((pair) => pair.join(""))];
/** What is never answered: all bytes but letters and blanks. */
const isSilent = (token) => !/^Ġ?[a-z]*$/.test(token) && token !== SPECIALS[END];

const TEMPLATE =
  "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}" +
  "{% if add_generation_prompt %}assistant: {% endif %}";

/** Numbers of 32 bits that a seed determines (mulberry32). */
function dice(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** So many numbers of `next`, over and over. */
function repeating(next, count) {
  const numbers = Array.from({ length: count }, next);
  let at = 0;
  return () => numbers[at++ % count];
}

/** A positive number's bits in half precision, cut off. */
function half(value) {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0];
  return value === 0 ? 0 : (((bits >>> 23) - 112) << 10) | ((bits >>> 13) & 0x3ff);
}

/**
 * Rows of Q4_1: blocks of a scale, a least value and 32 codes. `strength` is a row's standard
 * deviation.
 */
function matrix(random, rows, columns, strength) {
  const words = new Uint32Array((rows * columns * 5) / 32);
  for (let row = 0, at = 0; row < rows; row++) {
    // Codes from 0 to 15 deviate by 4.6 from 7.5 on average.
    const scale = half(strength(row) / 4.6);
    const least = scale && half((7.5 * strength(row)) / 4.6) | 0x8000;
    for (let column = 0; column < columns; column += 32) {
      words[at++] = (least << 16) | scale;
      for (let word = 0; word < 4; word++) words[at++] = random();
    }
  }
  return { type: 3, dimensions: [columns, rows], bytes: Buffer.from(words.buffer) };
}

const ones = (length) => ({
  type: 0,
  dimensions: [length],
  bytes: Buffer.from(new Float32Array(length).fill(1).buffer),
});

function tensors({ seed, layers, hidden, intermediate, heads, kvHeads, period }) {
  const random = dice(seed);
  const inside = period ? repeating(random, period) : random;
  const weights = (rows, columns) => matrix(inside, rows, columns, () => 1.3 / Math.sqrt(columns));
  const louder = { [END]: 1.25 };
  const all = {
    token_embd: matrix(random, TOKENS.length, hidden, (id) =>
      isSilent(TOKENS[id]) ? 0 : (louder[id] ?? 1) / Math.sqrt(hidden),
    ),
  };
  for (let layer = 0; layer < layers; layer++) {
    Object.assign(all, {
      [`blk.${layer}.attn_norm`]: ones(hidden),
      [`blk.${layer}.attn_qkv`]: weights(hidden + (2 * kvHeads * hidden) / heads, hidden),
      [`blk.${layer}.attn_output`]: weights(hidden, hidden),
      [`blk.${layer}.ffn_norm`]: ones(hidden),
      [`blk.${layer}.ffn_up`]: weights(2 * intermediate, hidden),
      [`blk.${layer}.ffn_down`]: weights(hidden, intermediate),
    });
  }
  return { ...all, output_norm: ones(hidden) };
}

function metadata({ layers, hidden, intermediate, heads, kvHeads, context = 4096 }) {
  return {
    "general.architecture": "phi3",
    "phi3.context_length": context,
    "phi3.embedding_length": hidden,
    "phi3.feed_forward_length": intermediate,
    "phi3.block_count": layers,
    "phi3.attention.head_count": heads,
    "phi3.attention.head_count_kv": kvHeads,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.token_type": TOKENS.map((_, id) => (id < SPECIALS.length ? 3 : 1)),
    "tokenizer.ggml.merges": MERGES.map((pair) => pair.join(" ")),
    "tokenizer.ggml.bos_token_id": BEGIN,
    "tokenizer.ggml.eos_token_id": END,
    "tokenizer.chat_template": TEMPLATE,
  };
}

const number = (value, width) => {
  const bytes = Buffer.alloc(width);
  if (width === 8) bytes.writeBigUInt64LE(BigInt(value));
  else bytes.writeUInt32LE(value);
  return bytes;
};
const text = (value) => Buffer.concat([number(Buffer.byteLength(value), 8), Buffer.from(value)]);
const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 31)]);

/** A metadata value with its type: whole numbers, texts, and lists of either. */
function value(it) {
  if (!Array.isArray(it))
    return typeof it === "string"
      ? Buffer.concat([number(8, 4), text(it)])
      : Buffer.concat([number(4, 4), number(it, 4)]);
  const items = it.map((item) => value(item).subarray(4));
  return Buffer.concat([number(9, 4), value(it[0]).subarray(0, 4), number(it.length, 8), ...items]);
}

/** A GGUF file of version 3. */
function gguf(metadata, tensors) {
  const pairs = Object.entries(metadata).flatMap(([key, it]) => [text(key), value(it)]);
  let offset = 0;
  const places = Object.entries(tensors).flatMap(([name, { type, dimensions, bytes }]) => {
    const place = [
      text(`${name}.weight`),
      number(dimensions.length, 4),
      ...dimensions.map((n) => number(n, 8)),
      number(type, 4),
      number(offset, 8),
    ];
    offset += padded(bytes).length;
    return place;
  });
  const counts = [
    Buffer.from("GGUF"),
    number(3, 4),
    number(Object.keys(tensors).length, 8),
    number(Object.keys(metadata).length, 8),
  ];
  return Buffer.concat([
    padded(Buffer.concat([...counts, ...pairs, ...places])),
    ...Object.values(tensors).map(({ bytes }) => padded(bytes)),
  ]);
}

/**
 * Writes such a model into a folder of its own, under a name; its path. It is gone when this
 * process is.
 */
export function makeRandomModel(shape, name = "random.gguf") {
  const folder = mkdtempSync(join(tmpdir(), "phi-random-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, name), gguf(metadata(shape), tensors(shape)));
  return join(folder, name);
}
