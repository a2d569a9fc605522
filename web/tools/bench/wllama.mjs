// Times wllama, llama.cpp in WebAssembly, in headless Chromium and prints the figures as a line of
// JSON.
//
//   node wllama.mjs MODELS_FOLDER PART_1 [PART_2 …] --modules FOLDER --text PROMPT \
//     [--threads N] [--gen N]
//
// FOLDER is the folder `esm` of its npm package, which is no dependency of ours. A part is at most
// 2 GB.

import { createReadStream, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sirv from "sirv";
import { figures } from "./tab.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    modules: { type: "string" },
    text: { type: "string" },
    threads: { type: "string", default: "1" },
    gen: { type: "string", default: "48" },
  },
});
const [models, ...parts] = positionals;
const { version } = JSON.parse(readFileSync(join(values.modules, "../package.json"), "utf8"));

const page = fileURLToPath(new URL("wllama.html", import.meta.url));
const folders = {
  "/modules/": sirv(values.modules, { dev: true }),
  "/models/": sirv(models, { dev: true }),
};
const server = createServer((request, response) => {
  // Its threads share memory, which only isolated pages may.
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  const folder = Object.keys(folders).find((folder) => request.url.startsWith(folder));
  if (folder) {
    request.url = request.url.slice(folder.length - 1);
    folders[folder](request, response, () => response.writeHead(404).end());
  } else {
    response.setHeader("Content-Type", "text/html");
    createReadStream(page).pipe(response);
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

try {
  const query = new URLSearchParams({
    text: values.text,
    threads: values.threads,
    gen: values.gen,
  });
  for (const part of parts) query.append("part", part);
  const measured = await figures(`http://127.0.0.1:${server.address().port}/?${query}`);
  // Its module's memory is out of reach: the tab's stands for it.
  console.log(JSON.stringify({ version, peak_bytes: measured.tab_bytes, ...measured }));
} catch (error) {
  console.error(`No figures: ${error.message}`);
  process.exitCode = 1;
} finally {
  server.closeAllConnections();
  server.close();
}
