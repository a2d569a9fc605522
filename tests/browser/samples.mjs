// The package as its users have it: installed from its tarball into a sample project, bundled,
// served.

import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { serveFolder } from "../../web/tools/serve.mjs";
import { MODEL } from "./setting.mjs";

const SAMPLES = fileURLToPath(new URL("samples", import.meta.url));
const PKG = fileURLToPath(new URL("../../pkg", import.meta.url));
/** Where sample projects are made. */
export const PROJECTS = join(PKG, "samples");
/** Outside the checkout: what bundlers weigh is fetched once. */
const CACHE = join(process.env.PHI_WASM_CACHE ?? join(homedir(), ".cache/phi-wasm"), "samples");

/**
 * The oldest Node.js that the package is for, and the one that `ai` 7 and `openai` 7 ask for:
 * versions of npm's package `node`.
 */
const NODES = { 20: "20.20.2", 22: "22.23.3" };

/**
 * The package as `npm run pack` left it: its folder and its tarball. Files of tests run side by
 * side, so none makes it.
 */
export function packed() {
  const folder = join(PKG, "npm");
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest))
    throw new Error("pkg/npm is not there: `cargo xtask test package` makes it");
  const { name, version } = JSON.parse(readFileSync(manifest, "utf8"));
  return { folder, tarball: join(PKG, `${name}-${version}.tgz`) };
}

/** What stands under a heading of the packed README. */
export function sectionOf(heading) {
  const [, section] = readFileSync(join(packed().folder, "README.md"), "utf8").split(
    `\n## ${heading}\n`,
  );
  if (!section) throw new Error(`the package's README has no heading "${heading}"`);
  return section.split("\n## ")[0];
}

/** The first block of code in a language there. */
export function codeOf(heading, language) {
  const [, code] = sectionOf(heading).split(`\n\`\`\`${language}\n`);
  if (!code) throw new Error(`the package's README has no ${language} under "${heading}"`);
  return code.split("\n```")[0];
}

/**
 * A sample project, made anew, with all that it depends on and the packed package: a folder. It is
 * a copy under `name` of the sample's files; `dependencies` take the place of those in its
 * manifest, and `files` join its own.
 */
export async function project(sample, { name = sample, node = 20, dependencies, files = {} } = {}) {
  const folder = await bare(sample, { name, node, dependencies });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  await npm(folder, node, "install", ...QUIET, packed().tarball);
  return folder;
}

/** The same without the package. */
export async function bare(sample, { name = sample, node = 20, dependencies } = {}) {
  const modules = await dependenciesOf(sample, { node, dependencies });
  const folder = join(PROJECTS, name);
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(SAMPLES, sample), folder, { recursive: true });
  cpSync(join(SAMPLES, "ask.js"), join(folder, "ask.js"));
  cpSync(join(modules, "package.json"), join(folder, "package.json"));
  // Links, where the file system has them: bundlers weigh hundreds of megabytes.
  const [from, to] = [join(modules, "node_modules"), join(folder, "node_modules")];
  if (existsSync(from))
    await run(folder, "cp", "-al", from, to).catch(() =>
      cpSync(from, to, { recursive: true, verbatimSymlinks: true }),
    );
  return folder;
}

/** Has a sample's dependencies fetched, unless they are in the cache; where they lie. */
export function dependenciesOf(sample, { node = 20, dependencies } = {}) {
  const manifest = JSON.parse(readFileSync(join(SAMPLES, sample, "package.json"), "utf8"));
  return installed({ ...manifest, ...(dependencies && { dependencies }) }, node);
}

const installing = new Map();

/** A folder in the cache with what a manifest asks for, as npm chooses it under a Node.js. */
function installed(manifest, node) {
  const text = JSON.stringify(manifest);
  const key = `${text} ${process.platform} ${process.arch} ${NODES[node]}`;
  const folder = join(CACHE, createHash("sha256").update(key).digest("hex").slice(0, 16));
  if (!installing.has(folder))
    installing.set(folder, existsSync(folder) ? folder : install(text, node, folder));
  return installing.get(folder);
}

/** Others may be about the same: whoever has it first puts it in place. */
async function install(manifest, node, folder) {
  mkdirSync(CACHE, { recursive: true });
  const fresh = mkdtempSync(join(CACHE, "new-"));
  writeFileSync(join(fresh, "package.json"), manifest);
  await npm(fresh, node, "install", ...QUIET);
  // Npm writes it in place, and copies are links.
  rmSync(join(fresh, "node_modules/.package-lock.json"), { force: true });
  try {
    renameSync(fresh, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(fresh, { recursive: true });
  }
  return folder;
}

const QUIET = [
  "--no-audit",
  "--no-fund",
  "--no-save",
  "--no-package-lock",
  "--prefer-offline",
  "--loglevel=error",
];

/** The program of a Node.js: the one that runs this, or one that npm installs. */
export async function nodeProgram(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const here = process.versions.node.split(".")[0];
  return join(
    await installed({ private: true, dependencies: { node: NODES[major] } }, here),
    "node_modules/node/bin/node",
  );
}

/** Runs npm under a Node.js: which versions it chooses depends on that. */
export async function npm(folder, node, ...args) {
  const found = (process.env.PATH ?? "")
    .split(delimiter)
    .map((place) => join(place, "npm"))
    .find(existsSync);
  if (!found) throw new Error("there is no npm on the PATH: install it with Node.js");
  const program = node in NODES ? await nodeProgram(node) : process.execPath;
  const PATH = `${dirname(program)}${delimiter}${process.env.PATH}`;
  return run({ cwd: folder, env: { PATH } }, program, realpathSync(found), ...args);
}

/** Runs a program in a project's folder; what it wrote. Throws that when it fails. */
export async function run(place, program, ...args) {
  const { cwd, env = {}, input } = typeof place === "string" ? { cwd: place } : place;
  const all = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", ...env };
  try {
    const running = promisify(execFile)(program, args, {
      cwd,
      encoding: "utf8",
      env: all,
      maxBuffer: 1 << 26,
    });
    running.child.stdin.end(input);
    return await running;
  } catch (error) {
    throw new Error(
      `${program} ${args.join(" ")} failed: ${error.stdout}${error.stderr || error.message}`,
    );
  }
}

const TSC = fileURLToPath(new URL("../../web/node_modules/.bin/tsc", import.meta.url));
const STRICT = [
  "--strict",
  "--exactOptionalPropertyTypes",
  "--module",
  "nodenext",
  "--target",
  "es2022",
];

/** Has a strict compiler look at a project's file, and at all types that this names. */
export function compile(folder, file) {
  return run(
    folder,
    TSC,
    "--noEmit",
    ...STRICT,
    "--lib",
    "es2023,dom,dom.iterable,dom.asynciterable",
    file,
  );
}

/**
 * Starts a development server of a project, or a program at a path of its own, and waits for the
 * address that it says.
 */
export async function develop(folder, program, ...args) {
  const env = { ...process.env, NO_COLOR: "1" };
  const child = spawn(resolve(folder, "node_modules/.bin", program), args, {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
    env,
  });
  let said = "";
  const address = await new Promise((told, reject) => {
    // It is read to its end: a server that cannot say what it does ends.
    child.stdout.on("data", (piece) => {
      said += piece;
      const [found] = /http:\/\/\S+(?=\s)/.exec(said) ?? [];
      if (found) told(found);
    });
    child.once("error", reject);
    child.once("close", () => reject(new Error(`${program} ended without an address: ${said}`)));
  });
  return { address: address.endsWith("/") ? address : `${address}/`, close: () => child.kill() };
}

/** The demo model on an origin of its own. */
export function serveModels() {
  return serveFolder(dirname(MODEL), { shared: true });
}
