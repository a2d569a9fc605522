// Chromium gives modules less and less memory, as small phones do: whatever there is, a model
// answers or is refused with the one code, and with what to do; nothing else, and nobody waits for
// ever. PHI_LONG=1 has larger models, too, and prints the table of docs/measured.md.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { noWorkers } from "../../web/tools/waiting.mjs";
import { makeRandomModel, RANDOM_ANSWERS, TINY } from "./random-model.mjs";
import { ANSWERS, MODEL, servePage } from "./setting.mjs";

const LONG = Boolean(process.env.PHI_LONG);
/** Milliseconds until something hangs: no model here takes as long. */
const HANGS = 180_000;

/**
 * What is loaded, with so many positions, under caps of so many pages of 64 KiB: from too few for
 * the engine itself to enough for all.
 */
const SWEEPS = [
  {
    what: "a tiny model",
    model: makeRandomModel(TINY),
    ...RANDOM_ANSWERS.tiny[0],
    positions: [4096],
    caps: [8, 29, 31, 33, 40, 50, 70, 110, 160, 200, 240, 400],
  },
  ...(LONG
    ? [
        {
          what: "a tiny model of a long context",
          model: makeRandomModel({ ...TINY, context: 16384 }, "long.gguf"),
          ...RANDOM_ANSWERS.tiny[0],
          positions: [16384],
          caps: [8, 30, 36, 44, 60, 100, 200, 300, 400, 500, 600, 800],
        },
        {
          what: "SmolLM2",
          model: MODEL,
          ...ANSWERS[0],
          positions: [4096, 8192],
          caps: [100, 400, 800, 1200, 1700, 2000, 2400, 2800, 3200, 3800, 4500, 6000],
        },
      ]
    : []),
];

const rows = [];
after(
  () =>
    LONG &&
    console.log(
      [
        "| pages | MB | model | positions | module | what comes |",
        "|---|---|---|---|---|---|",
        ...rows,
      ].join("\n"),
    ),
);

/** Loads, and asks; the answer, or the error. */
function outcome(page, options, messages) {
  return page.tab.evaluate(
    async (options, messages) => {
      let phi;
      try {
        phi = await Phi.load({ ...options, backend: "cpu", storage: "none" });
        const { choices } = await phi.chat.completions.create({
          messages,
          max_tokens: 40,
          temperature: 0,
        });
        return { answer: choices[0].message.content };
      } catch ({ name, code, message, contextLength }) {
        return { name, code, message, contextLength };
      } finally {
        await phi?.unload();
      }
    },
    options,
    messages,
  );
}

function note(pages, what, positions, variant, { code, contextLength }) {
  const result = !code
    ? "an answer"
    : contextLength
      ? `\`${code}\`; ${contextLength} positions have room, and answer`
      : `\`${code}\``;
  rows.push(
    `| ${pages} | ${((pages << 16) / 1e6).toFixed(1)} | ${what} | ${positions} | ${variant} | ` +
      `${result} |`,
  );
}

for (const { what, model, messages, answer, positions, caps } of SWEEPS) {
  describe(`with less and less memory, ${what}`, () => {
    /** By number of positions and threads or none, whether it has answered. */
    const answered = {};

    for (const [index, pages] of caps.entries()) {
      it(`answers or says that ${pages} pages are too few`, {
        timeout: HANGS * positions.length * 4,
      }, async (test) => {
        const args = [`--js-flags=--wasm-max-mem-pages=${pages}`];
        const [site, browser] = await Promise.all([
          servePage({ model }),
          launch("chromium without WebGPU", { args }),
        ]);
        test.after(() => {
          site.close();
          return browser.close();
        });
        const page = await Page.open(browser, site.address);
        const address = new URL(site.model, site.address).href;
        const variants = index % 2 ? ["simd", "threads"] : ["relaxed", "threads-relaxed"];
        for (const contextLength of positions) {
          for (const variant of variants) {
            const asked = { model: address, variant, contextLength };
            const came = await outcome(page, asked, messages);
            note(pages, what, contextLength, variant, came);
            await noWorkers(page.tab);
            const which = `${contextLength} ${variant.startsWith("threads")}`;
            if (came.code) {
              assert.deepEqual(
                [came.code, came.name],
                ["out-of-memory", "MemoryError"],
                `${variant}: ${came.message}`,
              );
              assert.match(came.message, /\d+ (bytes|MB)|gets no memory/);
              assert.match(came.message, /(context|smaller model|close other)/);
              assert.ok(!answered[which], "fewer pages have been enough");
            } else {
              assert.ok(answer.startsWith(came.answer) && came.answer, came.answer);
              answered[which] = true;
            }
            // What is said to have room has it.
            if (came.contextLength) {
              const again = await outcome(
                page,
                { ...asked, contextLength: came.contextLength },
                messages,
              );
              assert.ok(
                again.answer,
                `${variant} with ${came.contextLength} positions: ${again.code} ${again.message}`,
              );
              await noWorkers(page.tab);
            }
            if (index === 0) assert.ok(came.code, "the first are too few");
          }
        }
        if (index === caps.length - 1)
          assert.deepEqual(
            Object.values(answered),
            Array(positions.length * 2).fill(true),
            "the last are enough",
          );
      });
    }
  });
}

describe("a module whose memory is full while it has a model", () => {
  for (const variant of ["simd", "threads"]) {
    it(`has ended, is told of as such, and loads again: "${variant}"`, {
      timeout: HANGS,
    }, async (test) => {
      const args = ["--js-flags=--wasm-max-mem-pages=400"];
      const [site, browser] = await Promise.all([
        servePage({ model: SWEEPS[0].model }),
        launch("chromium without WebGPU", { args }),
      ]);
      test.after(() => {
        site.close();
        return browser.close();
      });
      const page = await Page.open(browser, site.address);
      const { said, heard, later } = await page.tab.evaluate(
        async (model, variant) => {
          let hear;
          const failure = new Promise((resolve) => (hear = resolve));
          const phi = await Phi.load({
            model,
            variant,
            backend: "cpu",
            storage: "none",
            onFailure: hear,
          });
          const codeOf = ({ code, message }) => [code, message];
          const said = await phi.tokenize("many words ".repeat(2e6)).then(() => "tokens", codeOf);
          return {
            said,
            heard: codeOf(await failure),
            later: await phi.tokenize("a").then(() => "tokens", codeOf),
          };
        },
        new URL(site.model, site.address).href,
        variant,
      );
      assert.equal(said[0], "out-of-memory", said[1]);
      assert.match(
        said[1],
        /^the engine's memory has [\d.]+ MB, and no more .*: load with a shorter context/,
      );
      assert.deepEqual([heard, later], [said, said]);
      await noWorkers(page.tab);
    });
  }
});
