// Times one of our modules in headless Chromium and prints the figures as a line of JSON.
//
//   node ours.mjs MODELS_FOLDER MODEL [--variant NAME] [--threads N] [--prompt N] [--gen N] \
//     [--backend cpu|gpu|auto] [--schema JSON]

import { parseArgs } from "node:util";
import { serve } from "../serve.mjs";
import { figures } from "./tab.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(
    ["variant", "threads", "prompt", "gen", "backend", "schema"].map((name) => [
      name,
      { type: "string" },
    ]),
  ),
});
const [models, model] = positionals;
const { server, address } = await serve({ models });
try {
  const query = new URLSearchParams({ model: `/models/${model}`, ...values });
  console.log(JSON.stringify(await figures(`${address}lab/bench.html?${query}`)));
} catch (error) {
  console.error(`No figures: ${error.message}`);
  process.exitCode = 1;
} finally {
  server.closeAllConnections();
  server.close();
}
