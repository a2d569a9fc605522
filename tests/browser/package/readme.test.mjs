// What the package's README shows runs as it stands there: a component, with each React that it
// names, and a page without a bundler.

import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, openTab } from "../../../web/tools/browser.mjs";
import { serveFolder } from "../../../web/tools/serve.mjs";
import {
  codeOf,
  develop,
  PROJECTS,
  packed,
  project,
  run,
  sectionOf,
  serveModels,
} from "../samples.mjs";
import { ANSWERS, MODEL } from "../setting.mjs";

const [capital, story] = ANSWERS;
const PAGE = "Without a bundler";
const MODULES = fileURLToPath(new URL("../../../web/node_modules", import.meta.url));

let models, browser;
before(
  async () =>
    ([models, browser] = await Promise.all([serveModels(), launch("chromium without WebGPU")])),
);
after(async () => {
  await browser?.close();
  models?.close();
});

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Opens a page; what the browser itself complains of meanwhile. */
async function open(address) {
  const tab = await openTab(browser);
  const complaints = [];
  const trouble = new Promise((_, reject) => tab.once("pageerror", reject));
  trouble.catch(() => {});
  tab.on("pageerror", (error) => complaints.push(error.message));
  await tab.goto(address);
  return { tab, complaints, trouble };
}

describe("the README's component", () => {
  for (const react of [19, 18]) {
    it(`answers, with React ${react}`, async () => {
      const dependencies = { react: `^${react}.0.0`, "react-dom": `^${react}.0.0` };
      const files = { "Chat.jsx": codeOf("React", "jsx") };
      const folder = await project("readme", {
        name: `readme-react-${react}`,
        dependencies,
        files,
      });
      const options = [
        "--bundle",
        "--format=esm",
        "--splitting",
        "--jsx=automatic",
        "--outdir=dist",
      ];
      await run(folder, join(folder, "node_modules/.bin/esbuild"), "main.jsx", ...options);
      const site = await serveFolder(folder);
      const { tab, complaints } = await open(
        `${site.address}?${new URLSearchParams({ model: `${models.address}${basename(MODEL)}` })}`,
      );
      assert.equal(
        await tab.$eval("body", ({ dataset }) => Number.parseInt(dataset.react, 10)),
        react,
      );
      await tab.locator("::-p-aria(Load the model)").click();
      await tab.waitForSelector("input, [role=alert]");
      await tab.type("input[name=question]", story.messages.at(-1).content);
      await tab.locator("::-p-aria(Ask)").click();
      await tab.waitForSelector(
        "[role=alert], section:has(p.assistant):has(button[type=button]:disabled)",
      );
      const lines = await tab.$$eval("p[class], p[role]", (lines) =>
        lines.map(({ className, textContent }) => [className, textContent]),
      );
      assert.deepEqual(lines, [
        ["user", story.messages.at(-1).content],
        ["assistant", story.answer],
      ]);
      assert.deepEqual(complaints, []);
      await tab.close();
      site.close();
    });
  }
});

describe("the README's page without a bundler, from its server", () => {
  let folder, site;
  before(async () => {
    folder = join(PROJECTS, "readme-page");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "models"), { recursive: true });
    cpSync(packed().folder, join(folder, "phi-wasm"), { recursive: true });
    symlinkSync(MODEL, join(folder, "models/model.gguf"));
    symlinkSync(MODULES, join(folder, "node_modules"));
    const server = codeOf(PAGE, "mjs").replaceAll("8080", String(await freePort()));
    writeFileSync(join(folder, "server.mjs"), server);
    site = await develop(folder, process.execPath, "server.mjs");
  });
  after(() => site?.close());

  const answers = async (file) => {
    const { tab, complaints, trouble } = await open(`${site.address}${file}`);
    await Promise.race([trouble, tab.waitForFunction(() => document.body.textContent !== "")]);
    assert.equal(await tab.$eval("body", (body) => body.textContent), capital.answer);
    assert.ok(await tab.evaluate(() => crossOriginIsolated), "there are no threads");
    assert.deepEqual(complaints, []);
    await tab.close();
  };

  it("answers", async () => {
    writeFileSync(join(folder, "index.html"), codeOf(PAGE, "html"));
    writeFileSync(join(folder, "main.js"), codeOf(PAGE, "js"));
    await answers("");
  });

  it("answers, with its import map", async () => {
    const [map] =
      /<script type="importmap">.*?<\/script>/.exec(sectionOf(PAGE)) ??
      assert.fail("there is no import map");
    writeFileSync(
      join(folder, "mapped.html"),
      `${map}\n${codeOf(PAGE, "html").replace("./main.js", "./mapped.js")}`,
    );
    writeFileSync(
      join(folder, "mapped.js"),
      codeOf(PAGE, "js").replace("./phi-wasm/index.js", "phi-wasm"),
    );
    await answers("mapped.html");
  });
});
