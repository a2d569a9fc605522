// Whose code is in what is published, and under which licences: that of node modules in scripts, of
// Rust's crates in modules and programs.
//
//   node licences.mjs FOLDER TARGET FEATURES [NODE_MODULE…]
//
// writes all of them, and ours, into the folder of what was built of the crate for this target with
// these features.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What wasm modules are built from; as `cargo xtask build` has it. */
const MODULE = { target: "wasm32-unknown-unknown", features: "gpu,web" };
/** A package that goes with the crate where it is built for a target. */
const BESIDE = { "wasm32-unknown-unknown": "phi-wasm-grammars" };

/** What is linked that is no crate, by target. */
const LINKED = {
  "wasm32-wasip1": `It also holds wasi-libc (https://github.com/WebAssembly/wasi-libc), under the
MIT licence or the Apache-2.0 licence with the LLVM exception. That is made from musl (MIT),
CloudABI's libc (BSD-2-Clause) and dlmalloc (CC0-1.0).
`,
  "x86_64-unknown-linux-gnu": `It also holds LLVM's libunwind and compiler-rt, under the Apache-2.0
licence with the LLVM exception, and the code with which glibc starts a program, under the
LGPL-2.1-or-later with the exception that it may be linked into any. glibc itself is the system's.
`,
};

/**
 * By name, files that must go with what was built. `modules` are folders of the node modules in it.
 */
export function licenceFiles(modules = [], built = MODULE) {
  return {
    "LICENSE-APACHE": readFileSync(join(ROOT, "LICENSE-APACHE")),
    "LICENSE-MIT": readFileSync(join(ROOT, "LICENSE-MIT")),
    "RUST-STANDARD-LIBRARY.html": standardLibrary(),
    "THIRD-PARTY.txt": thirdParty(modules, built),
  };
}

/** As it comes with the compiler. */
function standardLibrary() {
  const compiler = execFileSync("rustc", ["--print", "sysroot"], {
    cwd: ROOT,
    encoding: "utf8",
  }).trim();
  const file = join(compiler, "share/doc/rust/COPYRIGHT-library.html");
  if (!existsSync(file))
    throw new Error(
      `the licences of Rust's standard library are not at ${file}: rustup's Rust has them`,
    );
  return readFileSync(file);
}

/** Each licence once, with those under it. */
function thirdParty(modules, { target, features }) {
  const users = new Map();
  const all = [...modules.map(nodeModule), ...crates(target, features)];
  for (const { name, text } of all) users.set(text, [...(users.get(text) ?? []), name]);
  const sections = [...users]
    .map(([text, names]) => `${names.sort().join(", ")}\n\n${text}\n`)
    .sort();
  return `${INTRODUCTION}${LINKED[target] ?? ""}\n${sections.join(`\n${"-".repeat(80)}\n\n`)}`;
}

const INTRODUCTION = `What this is made of, and the licences of that. It also holds Rust's standard
library, by the Rust Project's contributors, under the MIT or the Apache-2.0 licence, and what that
is made of: RUST-STANDARD-LIBRARY.html. That page leaves out what backtraces are read with. The MIT
licence, among others, covers it: addr2line and object by the gimli developers, adler2 by Jonas
Schievink, memchr by Andrew Gallant, miniz_oxide by Frommi and others.
`;

function nodeModule(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return { name: `${name} ${version}`, text: licenceIn(folder, license) ?? license };
}

/** The crates whose code is in what was built. */
function crates(target, features) {
  const cargo = (...args) =>
    execFileSync("cargo", args, { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 26 });
  const shown = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
  const tree = (...chosen) => cargo("tree", "--locked", ...shown, "--target", target, ...chosen);
  const trees = [tree("--no-default-features", "--features", features)];
  if (BESIDE[target]) trees.push(tree("--package", BESIDE[target]));
  const lines = trees.join("\n").split("\n");
  const used = new Set(lines.map((line) => line.split(" ").slice(0, 2).join(" ")));
  const { packages } = JSON.parse(
    cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target),
  );
  const others = packages.filter(
    ({ name, version, source }) => source && used.has(`${name} v${version}`),
  );
  return others.map(({ name, version, license, repository, manifest_path }) => ({
    name: `${name} ${version}`,
    text: licenceIn(dirname(manifest_path), license) ?? `${license}, says ${repository}`,
  }));
}

/** The licence's text: of several to choose from, that of the first; all of them where all hold. */
function licenceIn(folder, expression) {
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying)/i.test(file));
  const rank = (file) =>
    ["mit", "apache", "licen"].findIndex((part) => file.toLowerCase().includes(part));
  const ranked = files
    .filter((file) => rank(file) >= 0)
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  const chosen = / AND /.test(expression) ? ranked : ranked.slice(0, 1);
  return (
    chosen
      .map((file) => readFileSync(join(folder, file), "utf8").replaceAll("\r", "").trim())
      .join("\n\n") || undefined
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, target, features, ...names] = process.argv.slice(2);
  const modules = names.map((name) => join(ROOT, "web/node_modules", name));
  for (const [name, content] of Object.entries(licenceFiles(modules, { target, features })))
    writeFileSync(join(folder, name), content);
}
