// The package as its users have it: installed from its tarball into a sample project, bundled, served.

import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveFolder } from "../../web/tools/serve.mjs";
import { MODEL } from "./setting.mjs";

const SAMPLES = fileURLToPath(new URL("samples", import.meta.url));
const PKG = fileURLToPath(new URL("../../pkg", import.meta.url));
/** Outside the checkout: what bundlers weigh is fetched once. */
const CACHE = join(process.env.PHI_WASM_CACHE ?? join(homedir(), ".cache/phi-wasm"), "samples");

/** The package as `npm run pack` left it: its folder and its tarball. Files of tests run side by side, so none makes it. */
export function packed() {
  const folder = join(PKG, "npm");
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) throw new Error("pkg/npm is not there: `npm run pack` in web/ makes it");
  const { name, version } = JSON.parse(readFileSync(manifest, "utf8"));
  return { folder, tarball: join(PKG, `${name}-${version}.tgz`) };
}

/** A sample project with all that it depends on, and the packed package; its folder. */
export function project(sample) {
  const folder = join(CACHE, sample);
  mkdirSync(folder, { recursive: true });
  const manifest = readFileSync(join(SAMPLES, sample, "package.json"), "utf8");
  const stamp = join(folder, "node_modules/.installed");
  cpSync(join(SAMPLES, sample), folder, { recursive: true });
  cpSync(join(SAMPLES, "ask.js"), join(folder, "ask.js"));
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== manifest) {
    install(folder);
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, manifest);
  }
  install(folder, packed().tarball);
  return folder;
}

function install(folder, ...packages) {
  const quiet = ["--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--prefer-offline", "--loglevel=error"];
  run(folder, "npm", "install", ...quiet, ...packages);
}

/** Runs a program in a project's folder; throws what it said when it fails. */
export function run(folder, program, ...args) {
  try {
    return execFileSync(program, args, { cwd: folder, encoding: "utf8", stdio: "pipe", env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" } });
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")} failed: ${error.stdout}${error.stderr}`);
  }
}

/** Starts a development server of a project and waits for the address that it says. */
export async function develop(folder, program, ...args) {
  const child = spawn(join(folder, "node_modules/.bin", program), args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, NO_COLOR: "1" } });
  const close = () => child.kill();
  let said = "";
  for await (const piece of child.stdout) {
    said += piece;
    const [address] = /http:\/\/[^\s]+/.exec(said) ?? [];
    if (address) return child.stdout.resume(), { address: address.endsWith("/") ? address : `${address}/`, close };
  }
  throw new Error(`${program} ended without an address: ${said}`);
}

/** The demo model on an origin of its own. */
export function serveModels() {
  return serveFolder(dirname(MODEL), { shared: true });
}
