// Runs a folder of cases against the built command, and where they apply against the packed package
// and the built app in a browser:
//
//   node tests/cases/run.mjs FOLDER [--browser chromium|firefox|none] [--phi COMMAND] [--only NAME]
//
// Each case is a folder with a README.md that tells its input and what is expected, and the files
// for it. FOLDER may also stand in PHI_CASES. `cargo build` makes the command,
// `cargo xtask test site package` the app and the package. The table says what came of each case;
// the program fails if any differs from what is expected, or has no runner here.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/**
 * Where the clocks are as far from UTC as anywhere: a date of another zone is another date for most
 * of a day.
 */
process.env.TZ = "Pacific/Kiritimati";
process.env.PHI_SMOLLM2 ??= join(
  process.env.PHI_WASM_CACHE ?? join(homedir(), ".cache/phi-wasm"),
  "SmolLM2-135M-Instruct.Q4_1.gguf",
);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    browser: { type: "string", default: "chromium without WebGPU" },
    phi: { type: "string" },
    only: { type: "string" },
  },
});
const folder = positionals[0] ?? process.env.PHI_CASES;
if (!folder) throw new Error("name the folder of the cases: node tests/cases/run.mjs FOLDER");

function builtCommand() {
  const metadata = execFileSync("cargo", ["metadata", "--no-deps", "--format-version=1"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return join(JSON.parse(metadata).target_directory, "debug/phi");
}

const phi = values.phi ? resolve(values.phi) : builtCommand();
for (const [path, made] of [
  [phi, "cargo build"],
  [process.env.PHI_SMOLLM2, "cargo xtask test set-up"],
]) {
  if (!existsSync(path)) throw new Error(`${path} is not there: \`${made}\` makes it`);
}

const [{ RUNNERS }, { Case }, { Browsers }] = await Promise.all([
  import("./runners.mjs"),
  import("./native.mjs"),
  import("./browser.mjs"),
]);

const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();
const browsers = new Browsers(values.browser);
const rows = [];
for (const name of names.filter((name) => !values.only || name === values.only)) {
  const one = new Case(name, join(resolve(folder), name), { phi, root: ROOT, browsers });
  const runner = RUNNERS[name];
  const outcome = async (run) =>
    run
      ? run(one).then(
          () => "passes",
          (error) => one.failed(error),
        )
      : "–";
  const native = runner
    ? await outcome(runner.native)
    : one.failed(new Error("nothing here runs this case"));
  const browser = values.browser === "none" ? "–" : await outcome(runner?.browser);
  one.close();
  rows.push({ name, native, browser, failures: one.failures });
  console.error(`${name}: ${native}, ${browser}`);
}
await browsers.close();

const width = Math.max(...rows.map(({ name }) => name.length), 4);
console.log(
  `| ${"case".padEnd(width)} | native  | browser |\n|${"-".repeat(width + 2)}|---------|---------|`,
);
for (const { name, native, browser } of rows)
  console.log(`| ${name.padEnd(width)} | ${native.padEnd(7)} | ${browser.padEnd(7)} |`);
const failed = rows.filter(({ failures }) => failures.length > 0);
for (const { name, failures } of failed)
  for (const failure of failures) console.log(`\n${name}: ${failure}`);
console.log(`\n${rows.length} cases, ${failed.length} of which differ from what is expected`);
process.exitCode = failed.length > 0 || rows.length === 0 ? 1 : 0;
