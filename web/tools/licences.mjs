// Whose code is in the package, and under which licences: that of node modules in its scripts, that of Rust's crates in its modules.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What wasm modules are built from; as `cargo xtask build` has it. */
const MODULE = ["--no-default-features", "--features", "gpu,web"];
const TARGET = "wasm32-unknown-unknown";

/** A text of all that: each licence once, with those under it. `modules` are folders of node modules, `root` is the crate's. */
export function thirdParty(modules, root) {
  const users = new Map();
  for (const { name, text } of [...modules.map(nodeModule), ...crates(root)]) users.set(text, [...(users.get(text) ?? []), name]);
  const sections = [...users].map(([text, names]) => `${names.sort().join(", ")}\n\n${text}\n`).sort();
  return `${STANDARD_LIBRARY}\n${sections.join(`\n${"-".repeat(80)}\n\n`)}`;
}

const STANDARD_LIBRARY = `What phi-wasm is made of, and the licences of that. Its modules also hold Rust's standard library, by the Rust Project's contributors,
under the MIT or the Apache-2.0 licence, whose texts are below.
`;

function nodeModule(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return { name: `${name} ${version}`, text: licenceIn(folder) ?? license };
}

/** The crates whose code is in a module. */
function crates(root) {
  const cargo = (...args) => execFileSync("cargo", args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
  const format = ["--prefix", "none", "--format", "{p}"];
  const tree = cargo("tree", "--locked", "--edges", "normal,no-proc-macro", ...format, "--target", TARGET, ...MODULE);
  const used = new Set(tree.split("\n").map((line) => line.split(" ").slice(0, 2).join(" ")));
  const { packages } = JSON.parse(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET));
  const others = packages.filter(({ name, version, source }) => source && used.has(`${name} v${version}`));
  return others.map(({ name, version, license, repository, manifest_path }) => ({
    name: `${name} ${version}`,
    text: licenceIn(dirname(manifest_path)) ?? `${license}, says ${repository}`,
  }));
}

/** The licence's text, or, of several to choose from, that of the first. */
function licenceIn(folder) {
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying)/i.test(file));
  const rank = (file) => ["mit", "apache", "licen"].findIndex((part) => file.toLowerCase().includes(part));
  const [first] = files.filter((file) => rank(file) >= 0).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  return first && readFileSync(join(folder, first), "utf8").replaceAll("\r", "").trim();
}
