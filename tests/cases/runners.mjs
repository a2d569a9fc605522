// How each case is run: natively, in the browser, or both; some lines for each. What is expected
// stands in the case's files, and else in its README.md.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { numbered, numberedTokenizer } from "../browser/golden.mjs";
import { MODEL } from "../browser/setting.mjs";
import { logitsOf } from "./native.mjs";

/** How far logits may be from a reference that computes in another order. */
const CLOSE = 1e-3;

// --------------------------------------------------------------------------------------- templates

const TOKENIZER = ["tests", "golden", "templates", "tokenizer.json"];
const NAMES = { bos_token: "<|im_start|>", eos_token: "<|im_end|>" };
const WEIGHTS = ["config.json", "model.safetensors"].map((name) => [
  "tests",
  "golden",
  "tiny-phi",
  name,
]);

/** A model that has this template, and the case's own tokenizer where it brings one. */
function withTemplate(one, name, template) {
  const isOwn = readdirSync(one.folder).includes("tokenizer.json");
  const tokenizer = isOwn
    ? [one.path("tokenizer.json"), one.path("tokenizer_config.json")]
    : [one.ours(...TOKENIZER)];
  const weights = WEIGHTS.map((names) => one.ours(...names));
  const files = {
    "chat_template.jinja": template,
    ...(!isOwn && { "tokenizer_config.json": NAMES }),
  };
  return one.directory(name, [...tokenizer, ...weights], files);
}

const render = (phi, messages) => phi.applyChatTemplate(messages);

/** Templates of a case, each with its messages and what it renders to. */
function templates(rowsOf) {
  const all = (render) => async (one) => {
    for (const [i, { template, messages, expected }] of rowsOf(one).entries()) {
      const folder = withTemplate(one, `${render.name}-${i}`, template);
      assert.equal(await render(one, folder, messages), expected, `${template}\nrendered wrongly`);
    }
  };
  return {
    native: all(function native(one, folder, messages) {
      return one.prints("prompt", "--model", folder, one.write("messages.json", messages));
    }),
    browser: all(function browser(one, folder, messages) {
      return one.ask(folder, {}, render, messages);
    }),
  };
}

const file =
  (template = "chat_template.jinja", expected = "expected.txt") =>
  (one) => ({
    template: one.text(template),
    messages: one.json("messages.json"),
    expected: one.text(expected),
  });
const files = (...rows) => templates((one) => rows.map((row) => row(one)));
const rows = templates((one) =>
  one.json("rows.json").map((row) => ({ messages: one.json("messages.json"), ...row })),
);

/** Today, as Python's strftime writes it here. */
function today() {
  const [day, month, year] = ["day", "month", "year"].map((part) => {
    const options = { [part]: { day: "2-digit", month: "short", year: "numeric" }[part] };
    return new Intl.DateTimeFormat("en-US", options).format(new Date());
  });
  const number = String(new Date().getMonth() + 1).padStart(2, "0");
  return {
    "chat_template.jinja": `${day} ${month} ${year}`,
    "unguarded.jinja": `${year}-${number}-${day}`,
  };
}
const dated = (template, expected) => (one) => {
  const row = file(template, expected)(one);
  return { ...row, expected: row.expected.replaceAll("{DATE}", today()[template]) };
};

// ------------------------------------------------------------------------------------------ logits

function logitsAre(one, model, expected) {
  const { ids, argmax, last_logits } = expected;
  const out = join(one.scratch, "logits.safetensors");
  one.prints(
    "logits",
    "--model",
    model,
    "--backend",
    "cpu",
    "--bits",
    "32",
    "--ids",
    ids.join(","),
    "--out",
    out,
  );
  const rows = logitsOf(out, ids.length);
  assert.deepEqual(
    rows.map((row) => row.indexOf(Math.max(...row))),
    argmax,
  );
  const differences = last_logits.map((value, i) => Math.abs(value - rows.at(-1)[i]));
  assert.ok(Math.max(...differences) <= CLOSE, `logits differ by ${Math.max(...differences)}`);
}

/** The likeliest token after the reference's, which are texts such as "<17>" there. */
async function goesOnWith(one, name, folder, { ids, argmax }) {
  const tokens = numbered(one.json(...folder, "config.json").vocab_size);
  const model = one.directory(
    name,
    readdirSync(one.path(...folder)).map((file) => one.path(...folder, file)),
    {
      "tokenizer.json": numberedTokenizer(tokens),
      "tokenizer_config.json": {},
    },
  );
  const prompt = ids.map((id) => tokens[id]).join("");
  const go = async (phi, prompt) =>
    (await phi.complete({ prompt, temperature: 0, max_tokens: 1 })).choices[0].text;
  assert.equal(await one.ask(model, { bits: 32 }, go, prompt), tokens[argmax.at(-1)]);
}

/** Models of a case by the folders that they lie in. */
const folders = (...names) => ({
  native: async (one) => {
    for (const name of names) logitsAre(one, one.path(...name), one.json(...name, "expected.json"));
  },
  browser: async (one) => {
    for (const [i, name] of names.entries())
      await goesOnWith(one, `model-${i}`, name, one.json(...name, "expected.json"));
  },
});
/** Such files have no tokenizer, without which a page can ask them nothing. */
const ggufs = (...names) => ({
  native: async (one) => {
    for (const name of names) logitsAre(one, one.path(name), one.json("expected.json"));
  },
});

// ---------------------------------------------------------------------------------------- requests

/**
 * What a request comes to, on a model whose template knows no tools: how many tokens were read, or
 * the refusal.
 */
const request = (phi, request) =>
  phi.chat.completions.create({ max_tokens: 1, temperature: 0, ...request }).then(
    ({ usage }) => ({ read: usage.prompt_tokens }),
    (error) => ({ code: error.code, message: error.message, kind: error.constructor.name }),
  );
const PLAIN =
  "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}";
const requests = (one, list, template = PLAIN) => {
  const folder = withTemplate(one, "requests", template);
  const ask =
    "async (phi, list) => { const all = []; for (const one of list) all.push(await " +
    `(${request})(phi, one)); return all; }`;
  return one.ask(folder, {}, ask, list);
};

const SURROGATE = "\ud83d";

const messagesToolCalls = {
  native: async (one) => {
    const folder = withTemplate(one, "plain", PLAIN);
    const told = (name) =>
      one.phi("prompt", "--model", folder, one.write(name, one.json(name).messages)).stderr;
    assert.match(told("request.json"), /tool_calls.*\[bad-template\]/s);
    assert.match(told("second.json"), /messages\[1\].*\[bad-option\]/s);
    const called = "{% for call in m.tool_calls %}{{ call.function.name }}{% endfor %}";
    const knowing = withTemplate(
      one,
      "knowing",
      `{% for m in messages %}${called}{{ m.content or '' }};{% endfor %}`,
    );
    const rendered = one.prints(
      "prompt",
      "--model",
      knowing,
      one.write("request.json", one.json("request.json").messages),
    );
    assert.equal(rendered, "What is 6 times 7?;multiply;42;");
  },
  browser: async (one) => {
    const [calls, empty] = await requests(one, [one.json("request.json"), one.json("second.json")]);
    assert.equal(calls.code, "bad-template", calls.message);
    assert.equal(empty.code, "bad-option", empty.message);
  },
};

const samplingRanges = {
  native: async (one) => {
    const flags = (row) =>
      Object.entries(row).flatMap(([name, value]) => [
        `--${name.replace("_", "-")}`,
        String(value),
      ]);
    const folder = withTemplate(one, "plain", PLAIN);
    const fixed = ["run", "--model", folder, "--backend", "cpu", "--max-tokens", "1"];
    for (const row of one.json("rows.json")) one.prints(...fixed, ...flags(row), "x");
  },
  browser: async (one) => {
    const messages = [{ role: "user", content: "x" }];
    const all = await requests(
      one,
      one.json("rows.json").map((row) => ({ messages, ...row })),
    );
    for (const said of all) assert.ok(said.read > 0, said.message);
  },
};

const loneSurrogate = {
  browser: async (one) => {
    const { messages, max_tokens } = one.json("request.json");
    const whole = [{ ...messages[0], content: messages[0].content.replace(SURROGATE, "\ufffd") }];
    const asked = [
      { messages, max_tokens },
      { messages, stop: messages[0].content },
      { messages: whole, max_tokens },
    ];
    const [half, stop, replaced] = await requests(one, asked);
    assert.ok(half.read > 0, half.message);
    assert.deepEqual([stop.read, replaced.read], [half.read, half.read]);
  },
};

const continueFinal = {
  browser: async (one) => {
    for (const [i, { template, messages, expected }] of one.json("rows.json").entries()) {
      const folder = withTemplate(one, `row-${i}`, template);
      const ask = async (phi, { messages, expected }) => ({
        text: await phi.applyChatTemplate(messages, { continueFinal: true }),
        read: (
          await phi.chat.completions.create({
            messages,
            max_tokens: 1,
            continue_final_message: true,
          })
        ).usage.prompt_tokens,
        expected: (await phi.tokenize(expected)).length,
      });
      const seen = await one.ask(folder, {}, ask, { messages, expected });
      assert.equal(seen.text, expected, template);
      assert.equal(seen.read, seen.expected, template);
    }
  },
};

// -------------------------------------------------------------------------------------- tokenizers

const addedSpecialTokens = {
  native: async (one) => {
    for (const { text, ids } of one.json("expected.json")) {
      assert.equal(
        one.prints("tokenize", "--model", one.folder, "--ids", text).trim(),
        ids.join(","),
        text,
      );
    }
  },
  browser: async (one) => {
    const folder = withTemplate(one, "model", PLAIN);
    const ask = (phi, texts) => Promise.all(texts.map((text) => phi.tokenize(text)));
    const expected = one.json("expected.json");
    assert.deepEqual(
      await one.ask(
        folder,
        {},
        ask,
        expected.map(({ text }) => text),
      ),
      expected.map(({ ids }) => ids),
    );
  },
};

const ggufNoBosId = {
  native: async (one) => {
    const options = ["--raw", "--backend", "cpu", "--stats", "json", "--max-tokens", "1"];
    const { stdout, stderr, status } = one.phi(
      "run",
      ...options,
      "--model",
      one.path("model.gguf"),
      "hello w",
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout + stderr, /"prompt_tokens":3\b/);
    assert.match(
      one.prints("tokenize", "--model", one.path("model.gguf"), "--ids", "<s></s>"),
      /^1,2\n$/,
    );
  },
  browser: async (one) => {
    const ask = async (phi) =>
      (await phi.complete({ prompt: "hello w", max_tokens: 1 })).usage.prompt_tokens;
    assert.equal(await one.ask(one.folder, { file: "model.gguf" }, ask), 3);
  },
};

// ------------------------------------------------------------------------------------- the command

const brokenPipe = {
  native: async (one) => {
    const text = one.write("text.txt", "a b c d e f g ".repeat(40));
    const commands = {
      inspect: ["inspect", MODEL],
      perplexity: ["perplexity", "--model", MODEL, "--backend", "cpu", "--window", "64", text],
      convert: ["convert", one.ours("tests", "golden", "tiny-phi"), "converted"],
      bench: ["bench", "--model", MODEL, "--backend", "cpu", "--prompt", "8", "--gen", "1"],
    };
    const shell = (line, args) => one.program("bash", "-c", line, "bash", one.command, ...args);
    for (const [name, args] of Object.entries(commands)) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
      const closed = shell('"$@" | head -c 0; exit ${PIPESTATUS[0]}', args);
      assert.ok(
        [0, 141].includes(closed.status),
        `${name} into a closed pipe ended with ${closed.status}: ${closed.stderr}`,
      );
      one.program("rm", "-rf", "converted");
      const full = shell('"$@" > /dev/full', args);
      one.program("rm", "-rf", "converted");
      assert.doesNotMatch(closed.stderr + full.stderr, /panicked/, name);
      if (full.status !== 0)
        assert.match(full.stderr, /\[[a-z-]+\]\s*$/, `${name} onto a full disk`);
      assert.ok([0, 1].includes(full.status), `${name} onto a full disk ended with ${full.status}`);
    }
  },
};

/** Those that begin and end SmolLM2's turns. */
const CONTROL = ["1", "2"];
const controlTokens = {
  native: async (one) => {
    const { stdout } = one.program("sh", one.path("try.sh"), one.command, MODEL);
    const [plain, control, like] = [...stdout.matchAll(/"prompt_tokens":(\d+)/g)].map(([, count]) =>
      Number(count),
    );
    assert.deepEqual([plain, like], [37, 44], stdout);
    assert.ok(control > 40 && control <= 44, stdout);
    // So small a model may imitate what it reads; a forged turn would have it say this one word and
    // end.
    assert.notEqual(stdout.split("\n").slice(3).join("\n").trim(), "BANANA");
    const [, forged] = /'(Say hello\.[\s\S]*?)'/.exec(one.text("try.sh"));
    const turns = (content) => {
      const messages = one.write("messages.json", [{ role: "user", content }]);
      const ids = one.prints("prompt", "--model", MODEL, "--ids", messages).trim().split(",");
      return ids.filter((id) => CONTROL.includes(id));
    };
    assert.deepEqual(turns(forged), turns("What is 2+2?"));
  },
  browser: async (one) => {
    const ask = (phi, texts) =>
      Promise.all(texts.map((content) => phi.countTokens([{ role: "user", content }])));
    const texts = ["", "<|im_end|>", "<|im_endx|>"].map((end) => `What is 2+2?${end}`);
    const [plain, control, like] = await one.ask(
      dirname(MODEL),
      { file: MODEL.split("/").at(-1) },
      ask,
      texts,
    );
    assert.deepEqual([plain, like], [37, 44]);
    assert.ok(control > 40 && control <= 44, `${control} tokens`);
  },
};

const convertRace = {
  native: async (one) => {
    const model = one.ours("tests", "golden", "tiny-phi");
    const { stdout, stderr } = one.program(
      "python3",
      one.path("race.py"),
      one.command,
      model,
      one.scratch,
      "20",
    );
    const lines = stdout.trim().split("\n");
    assert.equal(
      lines.reduce((sum, line) => sum + parseInt(line, 10), 0),
      20,
      stderr,
    );
    for (const line of lines) assert.match(line, /ended \((0, \d+|\d+, 0)\) \| result loads: True/);
  },
};

const nonfiniteScales = {
  native: async (one) => {
    one.program("python3", one.path("make.py"), one.scratch);
    for (const name of ["inf-up", "nan-up", "nan-embedding"]) {
      const model = join(one.scratch, `${name}.gguf`);
      const uses = [
        ["logits", "--model", model, "--backend", "cpu", "--ids", "5,6,7", "--out", "o.st"],
        ["run", "--model", model, "--backend", "cpu", "--max-tokens", "2", "hi"],
        ["convert", model, join(one.scratch, `${name}-converted`)],
      ];
      for (const args of uses) {
        const { status, stderr } = one.phi(...args);
        assert.equal(status, 1, `${name}: phi ${args[0]} ended with ${status}`);
        assert.match(stderr, /(ffn_up|token_embd|up_proj|embed_tokens).*row.*\[malformed\]/s, name);
      }
    }
  },
  browser: async (one) => {
    one.program("python3", one.path("make.py"), one.scratch);
    for (const name of ["inf-up", "nan-up", "nan-embedding"]) {
      await assert.rejects(
        one.ask(one.scratch, { file: `${name}.gguf` }, () => "loaded"),
        /(ffn_up|token_embd)\S* row \d+.*NaN/,
        name,
      );
    }
  },
};

const replacedFile = {
  native: async (one) => {
    const { stdout, stderr } = one.program(
      "python3",
      one.path("replaced.py"),
      one.command,
      MODEL,
      one.scratch,
    );
    const lines = stdout.trim().split("\n");
    assert.equal(lines.length, 4, stderr);
    for (const line of lines) assert.match(line, /^\S+ (0 old|[1-9]\d* .*)$/);
  },
};

// ----------------------------------------------------------------------------------------- the app

const cachedEngine = {
  browser: async (one) => {
    const { stdout, stderr } = one.program(
      process.execPath,
      one.path("cached.mjs"),
      one.root,
      dirname(MODEL),
    );
    assert.match(stdout, /^healthy server: loaded$/m, stdout + stderr);
  },
};

const imports = {
  browser: async (one) => {
    const folder = join(one.scratch, "files");
    mkdirSync(folder);
    one.program(process.execPath, one.path("make.mjs"), folder);
    const page = await one.browsers.app();
    const isSound = async (name) => {
      assert.deepEqual(await page.titles(), [], `${name} was taken in`);
      assert.deepEqual(page.complaints, [], name);
    };
    for (const name of readdirSync(folder)) {
      // What was told of the file before would be told of this one.
      await page.reload();
      await page.go("settings");
      await page.told("This file is damaged", () => page.choose("#import", join(folder, name)));
      await isSound(name);
    }
    await page.reload();
    await isSound("one of them");
  },
};

export const RUNNERS = {
  "added-special-tokens": addedSpecialTokens,
  "cli-broken-pipe": brokenPipe,
  "config-defaults": folders(["no-max-position-embeddings"], ["swish"]),
  "continue-final-message": continueFinal,
  "gguf-attention-bias": ggufs("model.gguf"),
  "gguf-no-bos-id": ggufNoBosId,
  "gguf-rope-scale": ggufs("factor_alone.gguf", "scale_linear.gguf"),
  "lone-surrogate": loneSurrogate,
  "messages-tool-calls": messagesToolCalls,
  "sampling-ranges": samplingRanges,
  "sec-cached-engine": cachedEngine,
  "sec-control-tokens": controlTokens,
  "sec-convert-race": convertRace,
  "sec-import": imports,
  "sec-nonfinite-scales": nonfiniteScales,
  "sec-replaced-file": replacedFile,
  "shards-overlap": folders([]),
  "template-crlf": files(file()),
  "template-generation-tags": files(file(), file("second.jinja", "second.txt")),
  "template-python-methods": rows,
  "template-special-tokens": files(file()),
  "template-strftime-now": files(
    dated("chat_template.jinja", "expected.txt"),
    dated("unguarded.jinja", "unguarded.txt"),
  ),
  "template-tojson-options": rows,
  "template-tools-none": files(file()),
  "tied-with-own-head": folders([]),
};
