// Asks headless Chromium's page one question and prints its answer.
//
//   node ask.mjs MODELS_FOLDER QUESTION [--backend auto|gpu|cpu] [--screenshot FILE]

import { parseArgs } from "node:util";
import { launch } from "./browser.mjs";
import { Page } from "./page.mjs";
import { serve } from "./serve.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { backend: { type: "string", default: "cpu" }, screenshot: { type: "string" } },
});
const [models, question] = positionals;

let browser, server;
try {
  const served = await serve({ models });
  server = served.server;
  browser = await launch("chromium");
  const page = await Page.open(browser, `${served.address}lab/`, { backend: values.backend });
  await page.tab.setViewport({ width: 900, height: 640 });
  const [name, ...facts] = await page.load();
  console.error(`${name}: ${facts.join("\n")}`);
  const { text, figures } = await page.ask(question);
  console.log(text);
  console.error(figures);
  if (values.screenshot) await page.tab.screenshot({ path: values.screenshot });
  if (page.complaints.length > 0)
    throw new Error(`the browser complained: ${page.complaints.join("; ")}`);
} catch (error) {
  console.error(`No answer: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
}
