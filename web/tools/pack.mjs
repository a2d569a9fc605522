// Builds the package that is published, pkg/npm, and its tarball beside it, from web/src and the
// wasm modules in pkg/.
//
//   node pack.mjs

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzipSync } from "node:zlib";
import { build } from "rolldown";
import { licenceFiles } from "./licences.mjs";

const WEB = fileURLToPath(new URL("../", import.meta.url));
const ROOT = dirname(dirname(`${WEB}.`));
const OUT = join(ROOT, "pkg/npm");

const VARIANTS = ["simd", "relaxed", "threads", "threads-relaxed"];
/** All modules: the engine's variants, and what holds answers to forms. */
const MODULES = [...VARIANTS, "grammars"];
/**
 * Those that the package's scripts carry, too: what every browser runs, and the best. More would
 * only weigh on bundles that cannot be split.
 */
const INLINE = ["simd", "threads-relaxed", "grammars"];
/** Bytes, by gzip: all scripts that a page may need when its bundler finds the package's files. */
const MOST_JS = 48 << 10;
/** Bytes, by brotli: a module. A page fetches one. What is below it is room for what comes. */
const MOST_WASM = 900 << 10;
/** Likewise: what holds answers to forms, which a page fetches that asks for one. */
const MOST_GRAMMARS = 500 << 10;

/** Files by name that the package consists of, and the node modules whose code is in them. */
const files = new Map();
const bundled = new Set();

const { license, version } = cargoPackage();
await makeScripts();
makeTypes();
makeRest();
writeAll();
await report();
console.log(relative(process.cwd(), pack()));

// ------------------------------------------------------------------------------------------ making

function cargoPackage() {
  const text = readFileSync(join(ROOT, "Cargo.toml"), "utf8").split("\n[")[0];
  return Object.fromEntries(
    [...text.matchAll(/^(\w+) = "(.*)"$/gm)].map(([, name, value]) => [name, value]),
  );
}

/**
 * What tells one build from another: the version, and a hash of all that page and worker are made
 * from.
 */
function buildVersion() {
  const hash = createHash("sha256");
  const within = (folder) =>
    readdirSync(join(WEB, folder), { recursive: true }).map((file) => join(WEB, folder, file));
  const sources = ["shared", "src"]
    .flatMap(within)
    .filter((file) => file.endsWith(".ts"))
    .sort();
  for (const file of sources) hash.update(readFileSync(file));
  for (const module of MODULES) hash.update(readFileSync(moduleOf(module)));
  return `${version}+${hash.digest("hex").slice(0, 12)}`;
}

function moduleOf(module) {
  const file = join(ROOT, pathOf(module));
  if (!existsSync(file))
    throw new Error(`pkg/${module} is not there: \`cargo xtask build\` makes it`);
  return file;
}

/** Within the repository. */
function pathOf(module) {
  return `pkg/${module}/phi_${module === "grammars" ? module : "wasm"}_bg.wasm`;
}

async function makeScripts() {
  const common = replace("version.ts", { '"source"': JSON.stringify(buildVersion()) });
  // The page gives the module: bundlers would look for this one.
  const noModules = ["phi_wasm", "phi_grammars"].map((name) =>
    replace(`${name}.js`, { [`new URL('${name}_bg.wasm', import.meta.url)`]: "undefined" }),
  );
  await bundle("worker", [common, sharedBindings(), ...noModules], { codeSplitting: false });
  add("inline-worker.js", asModule(files.get("worker.js")));
  for (const module of INLINE) {
    add(
      `inline-${module}.js`,
      asModule(gzipSync(readFileSync(moduleOf(module)), { level: 9 }).toString("base64")),
    );
  }
  const own = { "./worker.ts": "./worker.js" };
  for (const module of MODULES) own[`../../${pathOf(module)}`] = `./${module}.wasm`;
  // These stay as they are, for the bundlers of those who use the package.
  await bundle("index", [common, replace("addresses.ts", own), inlineModules()], {
    chunkFileNames: "[name].js",
  });
  for (const entry of ["react", "ai-sdk"]) await bundle(entry, [common]);
}

function asModule(text) {
  return `export default ${JSON.stringify(text.toString())};\n`;
}

/**
 * One entry and what it imports; the package's own entries and other packages stay outside, unless
 * they are the entry's parts.
 */
async function bundle(entry, plugins, output = {}) {
  const external = (id) =>
    id.startsWith("./inline-") ||
    (entry !== "index" && entry !== "worker" && (id === "./index.js" || !/^[./]/.test(id)));
  const { output: chunks } = await build({
    input: { [entry]: join(WEB, "src", `${entry}.ts`) },
    platform: "browser",
    external: (id, importer) => importer !== undefined && external(id),
    plugins,
    write: false,
    output: { format: "es", minify: true, ...output },
    onLog: (level, log) => level !== "info" && fail(log.message),
  });
  for (const chunk of chunks) {
    add(chunk.fileName, quoted(chunk.code));
    for (const id of chunk.moduleIds)
      if (id.includes("node_modules"))
        bundled.add(id.replace(/(.*node_modules\/(@[^/]+\/)?[^/]+)\/.*/, "$1"));
  }
}

/** Bundlers look for addresses in quotes; the minifier prefers backticks. */
function quoted(code) {
  return code.replace(/`(\.\/[\w.-]+|module)`/g, '"$1"');
}

/** Puts other texts into one source file, each of which must be there once. */
function replace(file, texts) {
  return {
    name: `replace in ${file}`,
    transform(code, id) {
      if (!id.endsWith(`/${file}`)) return null;
      for (const [from, to] of Object.entries(texts)) {
        if (code.split(from).length !== 2) fail(`${file} does not have ${from} once`);
        code = code.replace(from, () => to);
      }
      return code;
    },
  };
}

/** Bindings that differ in nothing but the order in which they name their parts are one. */
function sharedBindings() {
  const parts = /^import .*|^\s*"\.\/snippets\/.*/gm;
  const text = (variant) =>
    readFileSync(join(ROOT, "pkg", variant, "phi_wasm.js"), "utf8").replace(
      /^\s*(\/\/|\/?\*).*$/gm,
      "",
    );
  const named = (variant) =>
    text(variant)
      .match(parts)
      .map((line) => line.replace(/import\d+/, "").trim())
      .sort()
      .join("\n");
  const isSame = (a, b) =>
    named(a) === named(b) && text(a).replace(parts, "") === text(b).replace(parts, "");
  const of = (variant) => join(ROOT, "pkg", variant, "phi_wasm.js");
  const same = new Map(
    [
      ["relaxed", "simd"],
      ["threads-relaxed", "threads"],
    ]
      .filter((pair) => isSame(...pair))
      .map((pair) => pair.map(of)),
  );
  return {
    name: "shared bindings",
    resolveId: (id, importer) => same.get(join(dirname(importer ?? ""), id)) ?? null,
  };
}

/** The package's own `inline.ts`. */
function inlineModules() {
  const load = (name) => `() => import("./inline-${name}.js")`;
  const modules = INLINE.map((module) => `${JSON.stringify(module)}: ${load(module)}`);
  const code =
    `export const script = ${load("worker")};\nexport const modules = { ${modules.join(", ")} ` +
    "};\n";
  return { name: "inline", load: (id) => (id === join(WEB, "src/inline.ts") ? code : null) };
}

/** Declarations, as the compiler writes them, of the entries and all that they name. */
function makeTypes() {
  const folder = mkdtempSync(join(tmpdir(), "phi-types-"));
  execFileSync(
    join(WEB, "node_modules/.bin/tsc"),
    ["--project", join(WEB, "tsconfig.package.json"), "--outDir", folder],
    { stdio: "inherit" },
  );
  const waiting = ["index", "react", "ai-sdk"];
  for (const name of waiting) {
    // The engine's types stand beside the Rust code, and in the bindings of each variant.
    const text = readFileSync(join(folder, "web/src", `${name}.d.ts`), "utf8").replaceAll(
      "../../pkg/simd/phi_wasm.js",
      "./engine.js",
    );
    add(`${name}.d.ts`, text);
    for (const [, path] of text.matchAll(/"(\.\.?\/.*?)\.js"/g)) {
      const found = join(dirname(name), path);
      if (found !== "engine" && !waiting.includes(found)) waiting.push(found);
    }
  }
  const beside = (file) => readFileSync(join(ROOT, "crate/web", file), "utf8");
  add("engine.d.ts", ["types.ts", "shapes.ts"].map(beside).join("\n"));
  rmSync(folder, { recursive: true });
}

function makeRest() {
  for (const module of MODULES) add(`${module}.wasm`, readFileSync(moduleOf(module)));
  const manifest = JSON.parse(readFileSync(join(WEB, "package/package.json"), "utf8"));
  if (manifest.license !== license)
    fail(`package.json says ${manifest.license}, and Cargo.toml ${license}`);
  add("package.json", `${JSON.stringify({ ...manifest, version }, null, 2)}\n`);
  add("README.md", readFileSync(join(WEB, "package/README.md")));
  for (const [name, content] of Object.entries(licenceFiles([...bundled]))) add(name, content);
}

function add(name, content) {
  files.set(name, Buffer.from(content));
}

function writeAll() {
  rmSync(OUT, { recursive: true, force: true });
  for (const [name, content] of files) {
    mkdirSync(dirname(join(OUT, name)), { recursive: true });
    writeFileSync(join(OUT, name), content);
  }
}

// ------------------------------------------------------------------------------------------- sizes

/** Prints what weighs how much; fails when a page would have to fetch more than it may. */
async function report() {
  const scripts = [...files].filter(
    ([name]) => name.endsWith(".js") && !name.startsWith("inline-"),
  );
  const js = Object.fromEntries(
    scripts.map(([name, content]) => [name, gzipSync(content, { level: 9 }).length]),
  );
  const all = Object.values(js).reduce((sum, size) => sum + size);
  const inline = Object.fromEntries(
    [...files]
      .filter(([name]) => name.startsWith("inline-"))
      .map(([name, { length }]) => [name, length]),
  );
  const wasm = Object.fromEntries(
    await Promise.all(
      MODULES.map(async (module) => [module, await brotli(files.get(`${module}.wasm`))]),
    ),
  );
  console.error(`scripts, gzip: ${all} bytes of at most ${MOST_JS} (${list(js)})`);
  console.error(`instead of files that are not found: ${list(inline)}`);
  console.error(
    `modules, brotli, of at most ${MOST_WASM} (grammars ${MOST_GRAMMARS}): ${list(wasm)}`,
  );
  if (all > MOST_JS)
    fail(`the package's scripts are ${all} bytes by gzip, and must be at most ${MOST_JS}`);
  for (const [name, size] of Object.entries(wasm)) {
    const most = name === "grammars" ? MOST_GRAMMARS : MOST_WASM;
    if (size > most) fail(`${name}.wasm is ${size} bytes by brotli, and must be at most ${most}`);
  }
}

/** Bytes of a file at brotli's best, on a thread of its own: a module takes seconds. */
async function brotli(bytes) {
  const params = {
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return (await promisify(brotliCompress)(bytes, { params })).length;
}

function list(sizes) {
  return Object.entries(sizes)
    .map(([name, size]) => `${name} ${size}`)
    .join(", ");
}

function pack() {
  const [{ filename }] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--pack-destination", dirname(OUT)], {
      cwd: OUT,
      encoding: "utf8",
    }),
  );
  return join(dirname(OUT), filename);
}

function fail(message) {
  throw new Error(message);
}
