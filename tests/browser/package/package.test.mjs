// The packed package in sample projects: bundled by the bundlers that people use, without configuration, and answering in Chromium.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../../../web/tools/browser.mjs";
import { serveFolder } from "../../../web/tools/serve.mjs";
import { develop, packed, project, run, serveModels } from "../samples.mjs";
import { ANSWERS, MODEL } from "../setting.mjs";

const TOOLS = fileURLToPath(new URL("../../../web/tools", import.meta.url));
const [{ messages, answer }] = ANSWERS;

let models, browser;
before(async () => ([models, browser] = await Promise.all([serveModels(), launch("chromium without WebGPU")])));
after(async () => {
  await browser?.close();
  models?.close();
});

/** Opens a sample's page and waits for its outcome; also the addresses of its workers, and what was fetched. */
async function visit(address, wishes = {}) {
  const tab = await browser.newPage();
  const fetched = [];
  tab.on("request", (request) => fetched.push(request.url()));
  const url = new URL(address);
  const model = `${models.address}${basename(MODEL)}`;
  for (const [name, value] of Object.entries({ model, messages: JSON.stringify(messages), ...wishes })) url.searchParams.set(name, value);
  await tab.goto(url.href);
  await tab.waitForSelector("body[data-outcome]", { timeout: 120_000 });
  const outcome = await tab.$eval("body", (body) => JSON.parse(body.textContent));
  const workers = tab.workers().map((worker) => worker.url());
  await tab.close();
  return { ...outcome, workers, fetched };
}

/** The page answers, with workers from files or blobs, and computes by the module that its headers allow. */
async function answers(address, { wishes, from, computes }) {
  const seen = await visit(address, wishes);
  assert.equal(seen.answer, answer, JSON.stringify(seen));
  assert.match(seen.backend, computes);
  assert.deepEqual([...new Set(seen.workers.map((url) => url.split(":")[0]))], [from], seen.workers.join());
  return seen;
}

const SINGLE = /^CPU, relaxed SIMD, 1 thread$/;
const THREADED = /^CPU, relaxed SIMD, 2 threads$/;
/** Where the package's files are not found: its scripts carry this one and the best. */
const PLAIN = /^CPU, SIMD128, 1 thread$/;

/** How each project is built, where that leaves its pages, and where its workers then come from. */
const BUILDS = [
  { sample: "vite", build: ["vite", "build"], out: "dist", from: "http", single: SINGLE },
  { sample: "webpack", build: ["webpack", "--mode", "production", "--entry", "./main.js"], from: "http", single: SINGLE },
  { sample: "next", build: ["next", "build"], out: "out", from: "http", single: SINGLE },
  { sample: "next", build: ["next", "build", "--webpack"], out: "out", from: "http", single: SINGLE },
  { sample: "esbuild", build: ["esbuild", "main.js", "--bundle", "--format=esm", "--minify", "--outdir=dist"], from: "blob", single: PLAIN },
  { sample: "esbuild", build: ["esbuild", "main.js", "--bundle", "--format=esm", "--splitting", "--outdir=dist"], from: "blob", single: PLAIN },
  { sample: "plain", from: "http", single: SINGLE },
];

for (const { sample, build = [], out = ".", from, single } of BUILDS) {
  describe(`the package in a project for ${[sample, ...build.slice(1)].join(" ")}`, () => {
    let folder;
    before(() => {
      folder = project(sample);
      if (build.length > 0) run(folder, join(folder, "node_modules/.bin", build[0]), ...build.slice(1));
    });

    it("answers", async () => {
      const site = await serveFolder(join(folder, out));
      const { notices } = await answers(site.address, { from, computes: single });
      assert.equal(notices.length, single === PLAIN ? 1 : 0, notices.join());
      site.close();
    });

    it("answers with threads where they may share memory", async () => {
      const site = await serveFolder(join(folder, out), { isolated: true });
      const { workers } = await answers(site.address, { wishes: { threads: 2 }, from, computes: THREADED });
      assert.equal(workers.length, 2);
      site.close();
    });
  });
}

describe("the package under Vite's development server", () => {
  it("answers", async () => {
    const server = await develop(project("vite"), "vite", "--host", "127.0.0.1", "--port", "0");
    await answers(server.address, { from: "http", computes: SINGLE });
    server.close();
  });
});

describe("the package as it is", () => {
  let folder;
  before(() => (folder = project("plain")));

  /** No script but from the page's own origin, nothing made of text; the model comes from elsewhere. */
  const strict = () => `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ${models.address}`;

  for (const isolated of [false, true]) {
    it(`from another origin, on a page that is ${isolated ? "" : "not "}isolated`, async () => {
      const [site, other] = await Promise.all([serveFolder(folder, { isolated }), serveFolder(join(folder, "node_modules/phi-wasm"), { shared: true })]);
      const wishes = { package: `${other.address}index.js`, ...(isolated && { threads: 2 }) };
      const { fetched } = await answers(site.address, { wishes, from: "blob", computes: isolated ? THREADED : SINGLE });
      assert.ok(!fetched.some((url) => url.includes("inline-threads") || url.includes("inline-simd")), "the module comes from its file");
      site.close();
      other.close();
    });
  }

  it("under a strict policy", async () => {
    const site = await serveFolder(folder, { policy: strict(), isolated: true });
    const { notices } = await answers(site.address, { wishes: { threads: 2 }, from: "http", computes: THREADED });
    assert.deepEqual(notices, []);
    site.close();
  });

  it("by the addresses that the page gives", async () => {
    const other = await serveFolder(join(folder, "node_modules/phi-wasm"), { shared: true });
    const policy = `${strict()} ${other.address}; script-src 'self' ${other.address} 'wasm-unsafe-eval'`.replace("script-src 'self' 'wasm-unsafe-eval'; ", "");
    const site = await serveFolder(folder, { policy });
    const wishes = { package: `${other.address}index.js`, workerUrl: "/node_modules/phi-wasm/worker.js", modules: "/node_modules/phi-wasm/" };
    const { workers } = await answers(site.address, { wishes, from: "http", computes: SINGLE });
    assert.deepEqual(workers, [`${site.address}node_modules/phi-wasm/worker.js`]);
    site.close();
    other.close();
  });

  /** What is wrong with what the page gives → the sentence that says so. */
  const WRONG = [
    ["a script of another version", { workerUrl: "./stale.js" }, /version 0\.0\.1\+earlier and the page's of \d/],
    ["no script", { workerUrl: "./nowhere.js" }, /no worker starts here \(.*\): serve the package's worker\.js/],
    ["no module", { modules: "./nowhere/" }, /relaxed\.wasm answers 404\): give its address as wasmUrl/],
    ["a module that is none", { modules: "./main.js?" }, /the wasm module does not load \(/],
  ];
  for (const [what, wishes, sentence] of WRONG) {
    it(`says what is wrong with ${what}`, async () => {
      const site = await serveFolder(folder);
      const { error } = await visit(site.address, wishes);
      assert.equal(error?.code, "no-worker", JSON.stringify(error));
      assert.match(error.message, sentence);
      site.close();
    });
  }

  it("can be imported on a server, where loading rejects by name", () => {
    const script = `const { Phi, PhiError } = await import("phi-wasm");
      await Phi.load({ model: "/model.gguf" }).catch((error) => console.log(error instanceof PhiError, error.code, error.message));`;
    const said = run(folder, "node", "--input-type=module", "--eval", script);
    assert.match(said, /^true no-browser phi-wasm computes in a browser/);
  });

  it("has nothing that a strict policy forbids", () => {
    for (const file of ["index.js", "worker.js", "react.js", "ai-sdk.js"]) {
      const script = readFileSync(join(folder, "node_modules/phi-wasm", file), "utf8");
      assert.ok(!/\beval\(|new Function\b/.test(script), file);
    }
  });

  it("is right by publint and arethetypeswrong", () => {
    const { tarball } = packed();
    run(TOOLS, "npx", "--no-install", "publint", "run", tarball, "--strict");
    run(TOOLS, "npx", "--no-install", "attw", tarball, "--profile", "esm-only", "--exclude-entrypoints", "worker.js", "*.wasm");
  });
});
