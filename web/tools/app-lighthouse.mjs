// Has Lighthouse look at the built app, as a phone and as a computer, and prints its scores and
// what it finds fault with.
//
//   node app-lighthouse.mjs [MODELS_FOLDER]

import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import lighthouse, { desktopConfig } from "lighthouse";
import { launch } from "./browser.mjs";
import { serve } from "./serve.mjs";

const CATEGORIES = ["performance", "accessibility", "best-practices", "seo"];
const SCREENS = { welcome: "#/welcome", chat: "#/chat" };

/** Scores of 100, and the audits that took points away. */
function sum({ lhr }) {
  const scores = Object.values(lhr.categories).map(
    ({ title, score }) => `${title} ${Math.round(score * 100)}`,
  );
  const counted = new Set(
    Object.values(lhr.categories).flatMap(({ auditRefs }) =>
      auditRefs.filter(({ weight }) => weight > 0).map(({ id }) => id),
    ),
  );
  const faults = Object.values(lhr.audits)
    .filter(({ id, score }) => counted.has(id) && score !== null && score < 0.9)
    .map(
      ({ id, displayValue, details }) =>
        `  ${id} ${displayValue ?? ""} ` +
        `${JSON.stringify(details?.items?.slice(0, 3) ?? "").slice(0, 400)}`,
    );
  return [scores.join(" · "), ...faults].join("\n");
}

/** The site with its texts compressed, as hosts send them. */
async function compressed(site) {
  const server = createServer(async (request, response) => {
    const answer = await fetch(new URL(request.url, site));
    const body = Buffer.from(await answer.arrayBuffer());
    const isText = /text|javascript|json|svg/.test(answer.headers.get("content-type") ?? "");
    for (const [name, value] of answer.headers)
      if (!/^(content-length|connection|transfer-encoding|keep-alive)$/.test(name))
        response.setHeader(name, value);
    if (isText) response.setHeader("Content-Encoding", "gzip");
    response.writeHead(answer.status).end(isText ? gzipSync(body) : body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { front: server, address: `http://127.0.0.1:${server.address().port}/` };
}

const { server, address: site } = await serve({ models: process.argv[2] ?? "." });
const { front, address } = await compressed(site);
const browser = await launch("chromium without WebGPU");
try {
  for (const [form, config] of Object.entries({ phone: undefined, computer: desktopConfig })) {
    for (const [name, hash] of Object.entries(SCREENS)) {
      const tab = await browser.newPage();
      const result = await lighthouse(
        `${address}${hash}`,
        { onlyCategories: CATEGORIES, logLevel: "error" },
        config,
        tab,
      );
      console.log(`${form}, ${name}: ${sum(result)}`);
      await tab.close();
    }
  }
} finally {
  await browser.close();
  for (const listening of [front, server]) {
    listening.closeAllConnections();
    listening.close();
  }
}
