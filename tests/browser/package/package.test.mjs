// The packed package in sample projects: bundled by the bundlers that people use, without
// configuration, and answering in Chromium.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, openTab } from "../../../web/tools/browser.mjs";
import { serveFolder } from "../../../web/tools/serve.mjs";
import { EXACT, GOLDEN, makeGoldenModel } from "../golden.mjs";
import { dependenciesOf, develop, packed, project, run } from "../samples.mjs";
import { serveDuring } from "./host.mjs";

const TOOLS = fileURLToPath(new URL("../../../web/tools", import.meta.url));
const messages = [{ role: "user", content: GOLDEN.prompt }];

let model, models, browser;
before(async () => {
  model = makeGoldenModel();
  [models, browser] = await Promise.all([
    serveFolder(model.folder, { shared: true }),
    launch("chromium without WebGPU"),
  ]);
});
after(async () => {
  await browser?.close();
  models?.close();
  model?.remove();
});

/**
 * Opens a sample's page and waits for its outcome; also the addresses of its workers, and what was
 * fetched.
 */
async function visit(address, wishes = {}) {
  const tab = await openTab(browser);
  const fetched = [];
  tab.on("request", (request) => fetched.push(request.url()));
  const url = new URL(address);
  const all = {
    model: models.address,
    messages: JSON.stringify(messages),
    most: GOLDEN.length,
    ...EXACT,
    ...wishes,
  };
  for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
  await tab.goto(url.href);
  await tab.waitForSelector("body[data-outcome]");
  const outcome = await tab.$eval("body", (body) => JSON.parse(body.textContent));
  const workers = tab.workers().map((worker) => worker.url());
  await tab.close();
  return { ...outcome, workers, fetched };
}

/**
 * The page answers, with workers from files or blobs, and computes by the module that its headers
 * allow.
 */
async function answers(address, { wishes, from, computes }) {
  const seen = await visit(address, wishes);
  assert.equal(seen.answer, GOLDEN.answer, JSON.stringify(seen));
  assert.match(seen.backend, computes);
  assert.deepEqual(
    [...new Set(seen.workers.map((url) => url.split(":")[0]))],
    [from],
    seen.workers.join(),
  );
  return seen;
}

const SINGLE = /^CPU, relaxed SIMD, 1 thread$/;
const THREADED = /^CPU, relaxed SIMD, 2 threads$/;
/** Where the package's files are not found: its scripts carry this one and the best. */
const PLAIN = /^CPU, SIMD128, 1 thread$/;

const ESBUILD = ["main.js", "--bundle", "--format=esm", "--outdir=dist"];

/** How each project is built, where that leaves its pages, and where its workers then come from. */
const BUILDS = [
  { sample: "plain", from: "http", single: SINGLE },
  { sample: "vite", build: ["vite", "build"], out: "dist", from: "http", single: SINGLE },
  { sample: "esbuild", build: ["esbuild", ...ESBUILD, "--minify"], from: "blob", single: PLAIN },
  { sample: "esbuild", build: ["esbuild", ...ESBUILD, "--splitting"], from: "blob", single: PLAIN },
  {
    sample: "webpack",
    build: ["webpack", "--mode", "production", "--entry", "./main.js"],
    from: "http",
    single: SINGLE,
  },
  { sample: "next", build: ["next", "build"], out: "out", from: "http", single: SINGLE },
  {
    sample: "next",
    build: ["next", "build", "--webpack"],
    out: "out",
    from: "http",
    single: SINGLE,
  },
];

// What they depend on is fetched side by side.
for (const { sample } of BUILDS) void Promise.allSettled([dependenciesOf(sample)]);

/** Folders of the built projects: one after another, while pages of those before are looked at. */
const folders = new Map();
for (const { sample, build: [program, ...options] = [] } of BUILDS) {
  const name = [sample, ...options].join(" ");
  const before = [...folders.values()].at(-1);
  const building = Promise.allSettled([before]).then(async () => {
    const folder = await project(sample, { name: name.replace(/\W+/g, "-") });
    if (program) await run(folder, join(folder, "node_modules/.bin", program), ...options);
    return folder;
  });
  // Whoever waits for the folder hears why there is none.
  building.catch(() => {});
  folders.set(name, building);
}

describe("the package as it is", () => {
  let folder;
  before(async () => (folder = await folders.get("plain")));

  /**
   * No script but from the page's own origin, nothing made of text; the model comes from elsewhere.
   */
  const strict = () =>
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src " +
    `'self' ${models.address}`;

  for (const isolated of [false, true]) {
    it(`from another origin, on a page that is ${isolated ? "" : "not "}isolated`, async (test) => {
      const site = await serveDuring(test, folder, { isolated });
      const other = await serveDuring(test, join(folder, "node_modules/phi-wasm"), {
        shared: true,
      });
      const wishes = { package: `${other.address}index.js`, ...(isolated && { threads: 2 }) };
      const { fetched } = await answers(site.address, {
        wishes,
        from: "blob",
        computes: isolated ? THREADED : SINGLE,
      });
      assert.ok(
        !fetched.some((url) => url.includes("inline-threads") || url.includes("inline-simd")),
        "the module comes from its file",
      );
    });
  }

  it("under a strict policy", async (test) => {
    const site = await serveDuring(test, folder, { policy: strict(), isolated: true });
    const { notices } = await answers(site.address, {
      wishes: { threads: 2 },
      from: "http",
      computes: THREADED,
    });
    assert.deepEqual(notices, []);
  });

  it("by the addresses that the page gives", async (test) => {
    const other = await serveDuring(test, join(folder, "node_modules/phi-wasm"), { shared: true });
    const policy = strict()
      .replace("script-src 'self'", `script-src 'self' ${other.address}`)
      .concat(` ${other.address}`);
    const site = await serveDuring(test, folder, { policy });
    const own = "/node_modules/phi-wasm/";
    const wishes = {
      package: `${other.address}index.js`,
      workerUrl: `${own}worker.js`,
      modules: own,
    };
    const { workers } = await answers(site.address, { wishes, from: "http", computes: SINGLE });
    assert.deepEqual(workers, [`${site.address}node_modules/phi-wasm/worker.js`]);
  });

  /** What is wrong with what the page gives → the sentence that says so. */
  const WRONG = [
    [
      "a script of another version",
      { workerUrl: "./stale.js" },
      /version 0\.0\.1\+earlier and the page's of \d/,
    ],
    [
      "no script",
      { workerUrl: "./nowhere.js" },
      /no worker starts here \(.*\): serve the package's worker\.js/,
    ],
    [
      "no module",
      { modules: "./nowhere/" },
      /relaxed\.wasm answers 404\): give its address as wasmUrl/,
    ],
    ["a module that is none", { modules: "./main.js?" }, /the wasm module does not load \(/],
  ];
  for (const [what, wishes, sentence] of WRONG) {
    it(`says what is wrong with ${what}`, async (test) => {
      const site = await serveDuring(test, folder);
      const { error } = await visit(site.address, wishes);
      assert.equal(error?.code, "no-worker", JSON.stringify(error));
      assert.match(error.message, sentence);
    });
  }

  it("can be imported on a server, where loading rejects by name", async () => {
    const script = `const { Phi, PhiError } = await import("phi-wasm");
      const error = await Phi.load({ model: "/model.gguf" }).catch((error) => error);
      console.log(error instanceof PhiError, error.code, error.message);`;
    const { stdout } = await run(folder, "node", "--input-type=module", "--eval", script);
    assert.match(stdout, /^true no-browser phi-wasm computes in a browser/);
  });

  it("has nothing that a strict policy forbids", () => {
    for (const file of ["index.js", "worker.js", "react.js", "ai-sdk.js"]) {
      const script = readFileSync(join(folder, "node_modules/phi-wasm", file), "utf8");
      assert.ok(!/\beval\(|new Function\b/.test(script), file);
    }
  });

  it("is right by publint and arethetypeswrong", async () => {
    const { tarball } = packed();
    await run(TOOLS, "npx", "--no-install", "publint", "run", tarball, "--strict");
    await run(
      TOOLS,
      "npx",
      "--no-install",
      "attw",
      tarball,
      "--profile",
      "esm-only",
      "--exclude-entrypoints",
      "worker.js",
      "*.wasm",
    );
  });
});

describe("the package under Vite's development server", () => {
  it("answers", async (test) => {
    const server = await develop(
      await folders.get("vite build"),
      "vite",
      "--host",
      "127.0.0.1",
      "--port",
      "0",
    );
    test.after(server.close);
    await answers(server.address, { from: "http", computes: SINGLE });
  });
});

for (const [index, name] of [...folders.keys()].entries()) {
  const { out = ".", from, single } = BUILDS[index];
  describe(`the package in a project for ${name}`, () => {
    let folder;
    before(async () => (folder = await folders.get(name)));

    it("answers", async (test) => {
      const site = await serveDuring(test, join(folder, out));
      const { notices } = await answers(site.address, { from, computes: single });
      assert.equal(notices.length, single === PLAIN ? 1 : 0, notices.join());
    });

    it("answers with threads where they may share memory", async (test) => {
      const site = await serveDuring(test, join(folder, out), { isolated: true });
      const { workers } = await answers(site.address, {
        wishes: { threads: 2 },
        from,
        computes: THREADED,
      });
      assert.equal(workers.length, 2);
    });
  });
}
