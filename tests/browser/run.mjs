// Runs wasm-bindgen's tests in a browser: `node tests/browser/run.mjs BROWSER MODULE.wasm ARGS…`,
// as cargo runs a test program.
//
// wasm-bindgen's own runner serves the module with a page that tests it. It would drive a browser
// through another program, which would have to be of that browser's version; ours is started as in
// all other tests.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { launch, openTab } from "../../web/tools/browser.mjs";

const [kind, ...module] = process.argv.slice(2);

const server = spawn("wasm-bindgen-test-runner", module, {
  env: { ...process.env, NO_HEADLESS: "1", WASM_BINDGEN_TEST_ADDRESS: "127.0.0.1:0" },
  stdio: ["ignore", "pipe", "inherit"],
});
const ended = once(server, "exit");

/** The page's address, as soon as it is served. A module without tests has none. */
async function served() {
  for await (const line of createInterface(server.stdout)) {
    const [address] = /http:\S+/.exec(line) ?? [];
    if (address) return address;
    console.log(line);
  }
}

/**
 * Prints what the tests say, line by line, each test's with the seconds since the line before;
 * whether all have passed.
 */
async function watch(tab) {
  let [told, since] = [0, performance.now()];
  for (;;) {
    const handle = await tab.waitForFunction(
      (told) => {
        const lines = document.querySelector("#output").textContent.split("\n").slice(told, -1);
        return lines.length > 0 && lines;
      },
      {},
      told,
    );
    for (const line of await handle.jsonValue()) {
      const seconds = (performance.now() - since) / 1e3;
      console.log(/^test .* \.\.\. \w+$/.test(line) ? `${line} <${seconds.toFixed(3)}s>` : line);
      since = performance.now();
      told++;
      if (line.startsWith("test result: ")) return line.startsWith("test result: ok");
    }
  }
}

try {
  const address = await served();
  if (address) {
    const browser = await launch(kind);
    try {
      const tab = await openTab(browser);
      tab.on("pageerror", (error) => console.log(error.message));
      await tab.goto(address);
      process.exitCode = (await watch(tab)) ? 0 : 1;
    } finally {
      await browser.close();
    }
  } else {
    // Who is killed has no code.
    process.exitCode = (await ended)[0] ?? 1;
  }
} finally {
  server.kill();
}
