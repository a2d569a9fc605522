// Writes answers.json: what the native command answers, greedily, on one thread of the CPU, with
// the random models of the browser tests.
//
//   cargo build --release && node tests/golden/random/make.mjs target/release/phi

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { makeRandomModel, SMALL, TINY } from "../../browser/random-model.mjs";

/** Model → a name, the conversation and, where an answer is not told to its end, its longest. */
const ASKED = {
  tiny: [
    ["sky", [["user", "Why is the sky blue?"]]],
    [
      "poem",
      [
        ["system", "You write poems."],
        ["user", "Write about a fox."],
      ],
    ],
    ["endless", [["user", "What is the sea?"]], 64],
  ],
  small: [
    ["sky", [["user", "Why is the sky blue?"]]],
    [
      "poem",
      [
        ["system", "You write poems."],
        ["user", "Write about a fox."],
      ],
    ],
    ["endless", [["user", "Write a book about the bread."]], 64],
  ],
};

function answer(path, turns, longest) {
  const prompt = `${turns.map(([role, content]) => `${role}: ${content}\n`).join("")}assistant: `;
  const options = ["--backend=cpu", "--threads=1", "--max-tokens", longest, "--raw", "-"];
  const said = execFileSync(process.argv[2], ["run", "--model", path, ...options], {
    input: prompt,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "ignore"],
  });
  return said.slice(0, -1);
}

const answers = {};
for (const [name, shape] of Object.entries({ tiny: TINY, small: SMALL })) {
  const path = makeRandomModel(shape);
  answers[name] = ASKED[name].map(([name, turns, longest = 1024]) => ({
    name,
    messages: turns.map(([role, content]) => ({ role, content })),
    answer: answer(path, turns, longest),
  }));
}
writeFileSync(new URL("answers.json", import.meta.url), `${JSON.stringify(answers, null, 2)}\n`);
