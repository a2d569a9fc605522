// Has an earlier version store what it stores, and puts that into a folder by its commit's name:
//
//   git worktree add ../earlier COMMIT
//   (cd ../earlier && cargo xtask build && cargo build --release)
//   node tests/stored/make.mjs ../earlier
//
// - whole.tar.br, part.tar.br: OPFS with a model, and with a part of its download
// - indexeddb-whole.tar.br, indexeddb-part.tar.br: the same of IndexedDB, where there is no OPFS
// - taken-out.tar.br: that model as `Phi.exportModel` gives it
// - app.json: the chat app's database and settings
// - answer.txt: what the model answered
// - llama-BITS/: what `phi convert --bits` made of tests/golden/weights/llama, and its logits
//
// The earlier version's own tools drive its page.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Hub } from "../browser/hub.mjs";
import { makeRandomModel } from "../browser/random-model.mjs";
import { ADDRESS, pack, placeOf, QUESTION, resolved, SHAPE } from "./files.mjs";
import { STORAGES } from "./storages.mjs";

const earlier = resolve(process.argv[2]);
const git = (...what) => execFileSync("git", what, { cwd: earlier, encoding: "utf8" }).trim();
const commit = process.argv[3] ?? git("rev-parse", "--short=7", "HEAD");
const place = placeOf(commit);
const here = (name) => fileURLToPath(new URL(name, place));
const theirs = (name) => import(pathToFileURL(join(earlier, "web/tools", name)).href);
const { launch } = await theirs("browser.mjs");
const { serve } = await theirs("serve.mjs");
const { AppPage } = await theirs("app-page.mjs");

/** In a page: what is read there, path → base64. */
async function inBase64(read) {
  const files = {};
  for (const [path, content] of Object.entries(await read())) {
    const reader = new FileReader();
    const text = new Promise((resolve) => (reader.onload = () => resolve(reader.result)));
    reader.readAsDataURL(new Blob([content]));
    files[path] = (await text).split(",")[1];
  }
  return files;
}

/** Packs what lies in a tab's storage. */
async function packStorage(name, tab, { prefix, read }) {
  const files = await tab.evaluate(`(${inBase64})(${read})`);
  const decoded = Object.entries(files).map(([path, text]) => [path, Buffer.from(text, "base64")]);
  pack(here(prefix + name), Object.fromEntries(decoded));
}

async function inBrowser() {
  const model = makeRandomModel(SHAPE);
  const size = statSync(model).size;
  const hub = await Hub.open(dirname(model));
  const { server, address } = await serve({ models: dirname(model) });
  const open = async ({ args }) => {
    const browser = await launch("chromium without WebGPU", {
      args: [
        "--no-sandbox",
        "--disable-blink-features=WebGPU",
        ...resolved(hub.address).args,
        ...args,
      ],
    });
    const tab = await browser.newPage();
    tab.setDefaultTimeout(120_000);
    await tab.goto(`${address}lab/`);
    return { browser, tab };
  };

  /** A part of a download: of what is sent, most is in requests under way when it is paused. */
  const storePart = async (storage) => {
    const { browser, tab } = await open(storage);
    hub.allow((2 / 3) * size);
    const code = await tab.evaluate(
      (model, least) => {
        const pause = new AbortController();
        const onProgress = ({ stored }) => stored > least && pause.abort();
        return Phi.load({ model, backend: "cpu", signal: pause.signal, onProgress }).then(
          () => "loaded",
          ({ code }) => code,
        );
      },
      ADDRESS,
      size / 6,
    );
    if (code !== "cancelled") throw new Error(`the download was not paused, but ${code}`);
    await packStorage("part.tar.br", tab, storage);
    await browser.close();
    hub.allow(Infinity);
  };

  /** All of it, and an answer. */
  const storeWhole = async (storage) => {
    const { browser, tab } = await open(storage);
    const answer = await tab.evaluate(
      async (model, content) => {
        const phi = await Phi.load({ model, backend: "cpu" });
        const messages = [{ role: "user", content }];
        const { choices } = await phi.chat.completions.create({
          messages,
          temperature: 0,
          max_tokens: 32,
        });
        await phi.unload();
        return choices[0].message.content;
      },
      ADDRESS,
      QUESTION,
    );
    writeFileSync(here("answer.txt"), answer);
    await packStorage("whole.tar.br", tab, storage);
    return { browser, tab };
  };

  for (const storage of Object.values(STORAGES)) await storePart(storage);
  await (await storeWhole(STORAGES.indexeddb)).browser.close();
  const { browser, tab } = await storeWhole(STORAGES.opfs);

  // What is taken out.
  const takenOut = await tab.evaluate(async () => {
    const [{ id }] = await Phi.listModels();
    const reader = new FileReader();
    const text = new Promise((resolve) => (reader.onload = () => resolve(reader.result)));
    reader.readAsDataURL(await new Response(await Phi.exportModel(id)).blob());
    return (await text).split(",")[1];
  });
  pack(here("taken-out.tar.br"), { "model.tar": Buffer.from(takenOut, "base64") });

  // The app with that model: a question with instructions, a draft, settings.
  const page = await AppPage.open(browser, address);
  await page.loaded();
  await page.go("settings");
  await page.tab.select("#theme", "dark");
  await page.tab.select("#compute", "cpu");
  await page.go("chat");
  await page.setUp({ preset: "precise", instructions: "You write poems." });
  await page.ask(QUESTION);
  await page.go("chat");
  await page.tab.type("#question", "Not sent yet");
  await page.draftKept();
  // A tab that was killed while it loaded a model leaves this; the next one then takes less memory.
  await page.tab.evaluate((key) => {
    const kept = JSON.parse(localStorage.getItem(key));
    localStorage.setItem(key, JSON.stringify({ ...kept, loading: "random" }));
  }, "phi-wasm-settings");
  await page.reload();
  const app = {
    stores: await page.kept(),
    settings: await page.tab.evaluate(() => ({ ...localStorage })),
  };
  writeFileSync(here("app.json"), `${JSON.stringify(app, null, 2)}\n`);
  await browser.close();
  for (const { server: one } of [hub, { server }]) {
    one.closeAllConnections();
    one.close();
  }
}

function natively() {
  const phi = join(earlier, "target/release/phi");
  const source = fileURLToPath(new URL("../golden/weights/llama", import.meta.url));
  for (const bits of [4, 5, 8, 16, 32]) {
    const to = here(`llama-${bits}`);
    rmSync(to, { recursive: true, force: true });
    execFileSync(phi, ["convert", "--bits", bits, source, to]);
    const options = ["--backend", "cpu", "--kv", "f32", "--ids", "1,5,9,2,17,30,4"];
    execFileSync(phi, [
      "logits",
      "--model",
      to,
      ...options,
      "--out",
      here(`llama-${bits}.safetensors`),
    ]);
  }
}

mkdirSync(place, { recursive: true });
natively();
await inBrowser();
