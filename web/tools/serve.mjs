// Serves the built app on this machine alone, the bare pages under /lab/ and the models folder
// under /models/.
//
//   node serve.mjs MODELS_FOLDER [--port N] [--no-isolated]
//
// COOP and COEP isolate the page from others, which is what threads ask for; --no-isolated leaves
// them out.

import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sirv from "sirv";
import { ISOLATED, POLICY, SEALED } from "./headers.mjs";

/** The built app. */
export const PAGE = fileURLToPath(new URL("../dist", import.meta.url));

/** The bare pages load models from wherever tests put them. */
const BARE =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src *; img-src 'self' " +
  "data: blob:; base-uri 'none'; form-action 'none'";

/**
 * Starts the server; resolves to its address once it listens. `models` is a folder, or answers in
 * place of one; `port` 0 takes a free one. It lets browsers cache nothing, so that what works
 * without a network does so by the app.
 */
export async function serve({ models, page = PAGE, port = 0, isolated = true }) {
  const app = sirv(page, { dev: true });
  const files = typeof models === "string" ? sirv(models, { dev: true }) : models;
  const server = createServer((request, response) => {
    const policy = request.url.startsWith(SEALED.path) ? `${POLICY}, ${SEALED.policy}` : POLICY;
    response.setHeader("Content-Security-Policy", request.url.startsWith("/lab/") ? BARE : policy);
    if (isolated)
      for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
    const missing = () =>
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not here\n");
    if (!request.url.startsWith("/models/")) return app(request, response, missing);
    request.url = request.url.slice("/models".length);
    files(request, response, missing);
  });
  await new Promise((resolve, reject) =>
    server.once("error", reject).listen(port, "127.0.0.1", resolve),
  );
  return { server, address: `http://127.0.0.1:${server.address().port}/` };
}

/**
 * Serves a folder on this machine; `policy` is its Content-Security-Policy, `shared` lets other
 * origins read it.
 */
export async function serveFolder(folder, { isolated = false, policy = "", shared = false } = {}) {
  const files = sirv(folder, { dev: true, dotfiles: true });
  const headers = {
    ...(isolated && ISOLATED),
    ...(policy && { "Content-Security-Policy": policy }),
    ...(shared && {
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Headers": "Range",
      "Access-Control-Expose-Headers": "Content-Range",
    }),
  };
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method === "OPTIONS") response.end();
    else files(request, response, () => response.writeHead(404).end());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    allowNegative: true,
    options: {
      port: { type: "string", default: "0" },
      isolated: { type: "boolean", default: true },
    },
  });
  const { address } = await serve({
    models: positionals[0],
    port: Number(values.port),
    isolated: values.isolated,
  });
  console.log(`The page is at ${address} (Ctrl+C ends it).`);
}
