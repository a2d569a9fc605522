// A release as people have it who have no Rust: checked, unpacked where there is nothing else, and
// served by hosts that are not ours.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllHeaders } from "../../web/node_modules/@netlify/headers-parser/lib/index.js";
import { AppPage } from "../../web/tools/app-page.mjs";
import { launch } from "../../web/tools/browser.mjs";
import { PAGE_POLICY } from "../../web/tools/headers.mjs";
import { serve } from "../../web/tools/serve.mjs";
import { serveByNginx } from "./nginx.mjs";

/** What `cargo xtask test` sets: the release, the demo model, and nginx. */
const [DIST, MODEL, NGINX] = ["PHI_DIST", "PHI_SMOLLM2", "PHI_NGINX"].map((name) => {
  if (!process.env[name]) throw new Error(`${name} is not set: run \`cargo xtask test release\``);
  return process.env[name];
});
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const { version } = cargoMetadata().packages.find(({ name }) => name === "phi-wasm");
const QUESTION = "What is the capital of France?";
const ANSWER = "The capital of France is Paris.";

const ARCHIVES = {
  native: `phi-${version}-linux-x86_64-glibc2.28.tar.gz`,
  wasi: `phi-${version}-wasi.tar.gz`,
  app: `phi-${version}-app.tar.gz`,
  npm: `phi-wasm-${version}.tgz`,
};
/** The one folder of each archive, unpacked. */
const unpacked = {};
const scratch = mkdtempSync(join(tmpdir(), "phi-release-"));
before(() => {
  for (const [kind, archive] of Object.entries(ARCHIVES)) {
    const folder = join(scratch, kind);
    mkdirSync(folder);
    execFileSync("tar", ["--extract", "--file", join(DIST, archive), "--directory", folder]);
    const [only, ...others] = readdirSync(folder);
    assert.deepEqual(others, [], archive);
    unpacked[kind] = join(folder, only);
  }
});
after(() => rmSync(scratch, { recursive: true }));

/** What the page about the standard library says nothing of, so that we do. */
const LEFT_OUT = ["addr2line", "adler2", "memchr", "miniz_oxide", "object"];

function cargoMetadata() {
  return JSON.parse(
    execFileSync("cargo", ["metadata", "--no-deps", "--format-version=1"], {
      cwd: ROOT,
      encoding: "utf8",
    }),
  );
}

/** The files below a folder, by their paths in it. */
function filesOf(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
}

describe("the files of a release", () => {
  it("are those that its checksums and notes tell of", () => {
    execFileSync("sha256sum", ["--check", "--strict", "--quiet", "SHA256SUMS"], {
      cwd: DIST,
      stdio: ["ignore", "inherit", "inherit"],
    });
    const summed = readFileSync(join(DIST, "SHA256SUMS"), "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split("  ")[1]);
    assert.deepEqual([...summed, "SHA256SUMS"].sort(), filesOf(DIST));
    const notes = readFileSync(join(DIST, "NOTES.md"), "utf8");
    for (const name of readdirSync(DIST))
      if (name !== "NOTES.md")
        assert.ok(notes.includes(`\`${name}`), `${name} is not in the notes`);
    assert.match(notes, /glibc 2\.28 or newer/);
    assert.match(notes, /^### Added$/m);
    assert.doesNotMatch(notes, /[{}]/);
  });

  it("are the same in the app's folder and its archive", () => {
    assert.deepEqual(filesOf(join(unpacked.app, "app")), filesOf(join(DIST, "app")));
    assert.deepEqual(
      readFileSync(join(unpacked.app, "nginx.conf")),
      readFileSync(join(DIST, "nginx.conf")),
    );
  });

  for (const kind of Object.keys(ARCHIVES)) {
    it(`have the licences of all that is in them: ${kind}`, () => {
      const folder = kind === "app" ? join(unpacked.app, "app") : unpacked[kind];
      const read = (name) => readFileSync(join(folder, name), "utf8");
      for (const name of ["LICENSE-APACHE", "LICENSE-MIT"])
        assert.equal(read(name), readFileSync(join(ROOT, name), "utf8"));
      const crates = read("THIRD-PARTY.txt");
      const standard = read("RUST-STANDARD-LIBRARY.html");
      const [introduction] = crates.split("\n\n");
      for (const name of LEFT_OUT)
        assert.match(
          introduction,
          new RegExp(`The MIT licence, among others, covers it:[^]*\\b${name}\\b`),
        );
      const programs = filesOf(folder).filter((path) => /(^phi|\.wasm)$/.test(path));
      assert.ok(programs.length > 0);
      for (const program of programs) {
        // Where a panic may come from is told by the paths of source files.
        const text = readFileSync(join(folder, program), "latin1");
        const named = (paths) => [...new Set([...text.matchAll(paths)].map(([, crate]) => crate))];
        const libraries = named(
          /(?:crates\/index\.crates\.io-[0-9a-f]+|rust\/deps)\/([\w-]+-\d+\.\d+\.\d+[\w.+-]*)\//g,
        );
        assert.ok(libraries.length > 10, `${program} names ${libraries.length} crates`);
        const isCovered = (crate) => {
          const [name, number] = crate.split(/-(?=\d+\.\d+\.\d)/);
          return (
            crates.includes(`${name} ${number}`) ||
            standard.includes(crate) ||
            LEFT_OUT.includes(name)
          );
        };
        assert.deepEqual(
          libraries.filter((crate) => !isCovered(crate)),
          [],
          program,
        );
        assert.ok(
          !text.includes(homedir()) && !text.includes(ROOT),
          `${program} names this machine's folders`,
        );
      }
    });
  }
});

describe("the command for Linux", () => {
  /** What glibc consists of, as far as programs name it. */
  const GLIBC = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
  ];

  /** Runs it in a root that has glibc, the command's folder, the model and nothing else. */
  function run(...args) {
    const program = join(unpacked.native, "phi");
    const listed = execFileSync("/lib64/ld-linux-x86-64.so.2", ["--list", program], {
      encoding: "utf8",
    });
    const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path);
    assert.ok(
      libraries.length > 1 &&
        libraries.every((path) => GLIBC.some((name) => path.endsWith(`/${name}`))),
      listed,
    );
    const bound = [
      ...libraries.map((path) => [path, path]),
      [unpacked.native, "/phi"],
      [MODEL, "/model.gguf"],
    ];
    const binds = bound.flatMap(([from, to]) => ["--ro-bind", from, to]);
    return spawnSync(
      "bwrap",
      ["--unshare-all", "--die-with-parent", "--clearenv", ...binds, "/phi/phi", ...args],
      { encoding: "utf8" },
    );
  }

  it("answers in a root that has glibc and nothing else", () => {
    for (const backend of ["cpu", "auto"]) {
      const { status, stdout, stderr } = run(
        "run",
        "--model",
        "/model.gguf",
        "--backend",
        backend,
        "--temperature",
        "0",
        QUESTION,
      );
      assert.deepEqual([status, stdout.trim()], [0, ANSWER], stderr);
    }
  });

  it("says there that it has no GPU", () => {
    const { status, stderr } = run("run", "--model", "/model.gguf", "--backend", "gpu", QUESTION);
    assert.notEqual(status, 0);
    assert.match(stderr, /\[no-gpu\]/);
  });

  it("has the release's version", () => {
    assert.equal(run("--version").stdout, `phi ${version}\n`);
  });
});

describe("the WASI module", () => {
  it("answers", () => {
    const module = [
      "--no-warnings",
      join(ROOT, "tests/wasi/run.mjs"),
      join(unpacked.wasi, "phi.wasm"),
    ];
    const args = ["run", "--model", MODEL, "--temperature", "0", QUESTION];
    assert.equal(
      execFileSync("node", [...module, ...args], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      }).trim(),
      ANSWER,
    );
  });
});

describe("the app on hosts of others", () => {
  const app = join(DIST, "app");
  const SECURITY = [
    "cross-origin-opener-policy",
    "cross-origin-embedder-policy",
    "content-security-policy",
  ];
  let nginx, ours;
  before(async () => {
    nginx = await serveByNginx(NGINX, app, join(DIST, "nginx.conf"));
    ours = await serve({ models: DIST, page: app });
  });
  after(async () => {
    ours?.server.closeAllConnections();
    ours?.server.close();
    await nginx?.close();
  });

  /** How long browsers may keep a file. */
  const kept = (path) => {
    if (path.startsWith("assets/")) return "public, max-age=31536000, immutable";
    return [
      "",
      "index.html",
      "service-worker.js",
      "manifest.webmanifest",
      "sealed/worker.js",
    ].includes(path)
      ? "no-cache"
      : null;
  };
  const paths = ["", ...filesOf(app)];

  it("has what it needs, without the bare pages for tests", () => {
    assert.equal(paths.filter((path) => path.endsWith(".wasm")).length, 4);
    for (const path of ["index.html", "service-worker.js", "manifest.webmanifest", "_headers"])
      assert.ok(paths.includes(path), path);
    assert.deepEqual(
      paths.filter((path) => path.startsWith("lab")),
      [],
    );
    // Names that are kept for good tell of the content.
    for (const path of paths.filter((path) => path.startsWith("assets/")))
      assert.match(path, /-[\w-]{8}\.\w+$/);
  });

  it("is sent by nginx as our own server sends it, and kept as long as it may be", async () => {
    for (const path of paths) {
      const [theirs, mine] = await Promise.all(
        [nginx, ours].map(({ address }) => fetch(address + path)),
      );
      assert.equal(theirs.status, 200, path);
      for (const name of SECURITY)
        assert.equal(theirs.headers.get(name), mine.headers.get(name), `${path}: ${name}`);
      assert.ok(SECURITY.every((name) => mine.headers.has(name)));
      const [type, expected] = [theirs, mine].map(
        ({ headers }) => headers.get("content-type")?.split(";")[0],
      );
      assert.equal(type, expected || "application/octet-stream", path);
      if (type.startsWith("text/"))
        assert.match(theirs.headers.get("content-type"), /;\s*charset=utf-8$/, path);
      assert.equal(theirs.headers.get("cache-control"), kept(path), path);
      const [sent, own] = await Promise.all(
        [theirs, mine].map(async (response) => Buffer.from(await response.arrayBuffer())),
      );
      assert.ok(sent.equals(own), `${path} is not sent as it is`);
    }
    assert.deepEqual(
      nginx.said.filter((line) => /\[(warn|error|crit|alert|emerg)\]/.test(line)),
      [],
    );
  });

  it("is not kept where it is missing", async () => {
    const missing = await fetch(`${nginx.address}assets/none.js`);
    assert.deepEqual([missing.status, missing.headers.get("cache-control")], [404, null]);
  });

  it("is sent by hosts that read _headers as nginx sends it", async () => {
    const { headers: rules, errors } = await parseAllHeaders({
      headersFiles: [join(app, "_headers")],
      minimal: false,
      configHeaders: [],
    });
    assert.deepEqual(errors, []);
    for (const path of paths) {
      const { headers } = await fetch(nginx.address + path, { method: "HEAD" });
      // What two rules set is sent as both.
      const all = rules
        .filter(({ forRegExp }) => forRegExp.test(`/${path}`))
        .flatMap(({ values }) => Object.entries(values));
      const names = [...new Set(all.map(([name]) => name))];
      const sent = names.map((name) => [
        name,
        all
          .filter(([other]) => other === name)
          .map(([, value]) => value)
          .join(", "),
      ]);
      const expected = [...SECURITY, "cache-control"]
        .filter((name) => headers.has(name))
        .map((name) => [name, headers.get(name)]);
      assert.deepEqual(
        sent.map(([name, value]) => [name.toLowerCase(), value]).sort(),
        expected.sort(),
        path,
      );
    }
  });

  it("says in its page what the headers say", () => {
    const [, content] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(
      readFileSync(join(app, "index.html"), "utf8"),
    );
    assert.equal(content, PAGE_POLICY);
  });

  describe("in Chromium", () => {
    let browser, page;
    before(async () => {
      // No name is found: whatever happens here needs no network.
      browser = await launch("chromium without WebGPU", {
        args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.*"],
      });
      page = await AppPage.open(browser, nginx.address);
    });
    after(() => browser?.close());

    it("answers with a model of the user's own files, on threads, and asks nobody", async () => {
      assert.ok(await page.tab.evaluate(() => crossOriginIsolated));
      await page.choose(".own button", MODEL);
      await page.loaded();
      await page.tab.waitForSelector("#composer");
      await page.setUp({ preset: "precise" });
      assert.equal((await page.ask(QUESTION)).text.trim(), ANSWER);
      assert.deepEqual(page.complaints, []);
      assert.deepEqual(
        page.requests.filter(
          (address) => !address.startsWith(nginx.address) && !address.startsWith("blob:"),
        ),
        [],
      );
      // Once by the engine, and once to be kept where the service worker came after that.
      const [module, ...others] = new Set(
        page.requests.filter((address) => address.endsWith(".wasm")),
      );
      assert.deepEqual(others, []);
      assert.ok(
        Buffer.from(await (await fetch(module)).arrayBuffer()).equals(
          readFileSync(join(unpacked.npm, "threads-relaxed.wasm")),
        ),
      );
    });

    it("looks for the small model on its hub, for there is none beside it", async () => {
      await page.go("models");
      await page.begin("smollm2-135m");
      await page.tab.waitForSelector("[data-code]");
      const { code, message } = await page.problem();
      assert.equal(code, "network");
      assert.match(
        message,
        /^https:\/\/huggingface\.co\/api\/models\/QuantFactory\/SmolLM2-135M-Instruct-GGUF\//,
      );
    });
  });
});
