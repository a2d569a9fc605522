// Runs a WASI module under node: `node --no-warnings tests/wasi/run.mjs MODULE.wasm ARGS…`. The
// current directory is the module's "." and the whole file system its "/"; standard streams pass
// through.
import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { WASI } from "node:wasi";

// Node 20 crashes in most runs whose module has grown its memory by 100 MB, unless V8's fast path
// into the WASI calls is off.
setFlagsFromString("--no-turbo-fast-api-calls");

const [path, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: "preview1",
  args: [path, ...args],
  env: { ...process.env, PHI_HOST: "node" },
  preopens: { ".": process.cwd(), "/": "/" },
  returnOnExit: true,
});
const module = await WebAssembly.compile(await readFile(path));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
