// What a model server can do wrong: each case ends in one clear sentence with its code, or loads
// all the same.

import assert from "node:assert/strict";
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { basename, dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { serve } from "../../web/tools/serve.mjs";
import { makeRandomModel, RANDOM_ANSWERS, TINY } from "./random-model.mjs";
import { servePage } from "./setting.mjs";

const [{ messages, answer }] = RANDOM_ANSWERS.tiny;
const MODEL = makeRandomModel(TINY);
const SIZE = statSync(MODEL).size;
/** Far inside the weights. */
const MIDDLE = Math.floor(SIZE / 2);

/** Answers a range request from the file as a plain server does, except for what `change` says. */
function send(request, response, change = {}) {
  const { size = SIZE, cutAt = Infinity, cutHalfway = false, hideRange = false } = change;
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range);
  const start = Number(first);
  const end = Math.min(last ? Number(last) + 1 : size, size);
  response.writeHead(206, {
    "Content-Length": end - start,
    "Content-Range": `bytes ${start}-${end - 1}/${size}`,
    ...(hideRange ? {} : { "Access-Control-Expose-Headers": "Content-Range" }),
  });
  response.flushHeaders();
  const stop = cutHalfway ? Math.floor((start + end) / 2) : Math.min(end, cutAt);
  if (stop <= start) return void response.destroy();
  const stream = createReadStream(MODEL, { start, end: stop - 1 });
  stream.on("close", () => stop < end && response.destroy());
  response.on("close", () => stream.destroy());
  stream.pipe(response, { end: stop === end });
}

/** A server with one fault for each path; it lives on an origin of its own, as model servers do. */
function serveFaults() {
  const cuts = [];
  /** Cuts the first response inside the weights, and only that. */
  const cutOnce = ({ headers }) => {
    const cutHalfway = !headers.range.startsWith("bytes=0-") && cuts.length === 0;
    if (cutHalfway) cuts.push(headers.range);
    return cutHalfway;
  };
  const faults = {
    "/missing.gguf": (_, response) => response.writeHead(404).end(),
    "/owner/name/": (_, response) => response.writeHead(404).end(),
    "/forbidden.gguf": (_, response) => response.writeHead(403).end(),
    "/failing.gguf": (_, response) => response.writeHead(500).end(),
    "/page.gguf": (_, response) =>
      response
        .setHeader("Content-Type", "text/html")
        .end("<!doctype html><p>Not the file that you meant.</p>".repeat(99)),
    "/kept.gguf": (_, response) => {
      response.removeHeader("Access-Control-Allow-Origin");
      response.end("GGUF");
    },
    "/named.gguf": (request, response) => {
      // A header that is asked for first.
      response.setHeader("Access-Control-Allow-Headers", "Range, X-Key");
      if (request.method === "OPTIONS") response.end();
      else if (request.headers["x-key"] !== "open") response.writeHead(403).end();
      else send(request, response);
    },
    "/endless.gguf": (_, response) => response.writeHead(200).end("GGUF"),
    "/truncated.gguf": (request, response) => send(request, response, { size: MIDDLE }),
    "/dying.gguf": (request, response) => send(request, response, { cutAt: MIDDLE }),
    "/changing.gguf": (request, response) =>
      send(
        request,
        response,
        request.headers.range.startsWith("bytes=0-") ? {} : { size: SIZE - 1 },
      ),
    "/cut-once.gguf": (request, response) =>
      send(request, response, { hideRange: true, cutHalfway: cutOnce(request) }),
    "/deaf.gguf": (_, response) => {
      response.writeHead(200, { "Content-Length": SIZE });
      createReadStream(MODEL)
        .on("error", () => {})
        .pipe(response);
    },
  };
  const server = createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "Range");
    const fault = faults[request.url] ?? faults[`${dirname(request.url)}/`] ?? faults["/page.gguf"];
    fault(request, response);
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () =>
      resolve({ server, cuts, address: `http://127.0.0.1:${server.address().port}` }),
    ),
  );
}

/** path → code, and words that the sentence must hold. */
const CASES = [
  ["missing", "not-found", /is not there: the server answers 404; check the address/],
  ["forbidden", "network", /answers 403/],
  ["failing", "network", /answers 500; try again later/],
  ["page", "not-a-model", /page\.gguf: this address gives a web page.*give the file's own$/],
  // A repository's name alone is an address of the page's own site.
  ["owner/name/", "not-found", /\d\/owner\/name\/: there is no config\.json.*\/OWNER\/NAME$/],
  // As hosts of apps do for every address that they do not know.
  ["pages/", "not-a-model", /\d\/pages\/: this address gives a web page.*\/OWNER\/NAME$/],
  [
    "kept",
    "network",
    /kept\.gguf cannot be reached \(its server answers, but lets no other .* send Access-Control-/,
  ],
  ["endless", "network", /does not say how long/],
  ["truncated", "truncated", new RegExp(`${MIDDLE}.*bytes|bytes.*${MIDDLE}`)],
  [
    "dying",
    "network",
    /connection was cut with \d+ bytes of .* to come; check the network and load again/,
  ],
  ["changing", "network", /changed on the server while it was read/],
  ["deaf", "network", /ignores Range requests/],
];

describe("a model server that", () => {
  let site, plain, faults, browser;
  before(async () => {
    [site, plain, faults, browser] = await Promise.all([
      servePage(),
      servePage({ isolated: false }),
      serveFaults(),
      launch("chromium"),
    ]);
  });
  after(async () => {
    await browser.close();
    faults.server.closeAllConnections();
    faults.server.close();
    site.close();
    plain.close();
  });

  /** Loads from the faulty server; the page must stay usable whatever comes. */
  async function load(path, { address } = path === "kept" ? plain : site) {
    const page = await Page.open(browser, address, {
      model: `${faults.address}/${path.endsWith("/") ? path : `${path}.gguf`}`,
      backend: "cpu",
    });
    const failure = await page.load().then(
      () => null,
      (error) => error,
    );
    return { page, failure };
  }

  for (const [path, code, sentence] of CASES) {
    it(`is "${path}" gives ${code}`, async () => {
      const { page, failure } = await load(path);
      assert.equal(failure?.code, code, failure?.message);
      assert.match(failure.message, sentence);
      assert.ok(
        await page.tab.$("#load:not([hidden]):not(:disabled)"),
        "another try must be possible",
      );
      await page.tab.close();
    });
  }

  it("lets no other site read its files is told of on isolated pages, too", async () => {
    const { page, failure } = await load("kept", site);
    assert.equal(failure?.code, "network", failure?.message);
    assert.match(
      failure.message,
      /cannot be reached \(its server does not answer, or lets .* it must send Access-Control-/,
    );
    await page.tab.close();
  });

  it("cuts the connection once costs nothing: loading goes on where it ended", async () => {
    const { page, failure } = await load("cut-once");
    assert.equal(failure, null, failure?.message);
    assert.equal(faults.cuts.length, 1, "the server did cut");
    assert.equal((await page.ask(messages[0].content)).text, answer);
    await page.tab.close();
  });

  it("wants a header is sent it", async () => {
    const page = await Page.open(browser, site.address, {});
    const parameters = await page.tab.evaluate(async (model) => {
      const phi = await Phi.load({
        model,
        backend: "cpu",
        storage: "none",
        headers: { "X-Key": "open" },
      });
      await phi.unload();
      return phi.description.parameters;
    }, `${faults.address}/named.gguf`);
    assert.ok(parameters > 1000);
    await page.tab.close();
  });

  it("is not there at all gives network", async () => {
    const page = await Page.open(browser, site.address, {
      model: "http://127.0.0.1:1/model.gguf",
      backend: "cpu",
    });
    await assert.rejects(page.load(), { code: "network", message: /cannot be reached/ });
    await page.tab.close();
  });
});

describe("the page's own server", () => {
  it("may be late with the worker's script: a silent worker gets more time", async (test) => {
    const browser = await launch("chromium without WebGPU");
    test.after(() => browser.close());
    const { server, address } = await serve({ models: dirname(MODEL) });
    test.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const [serveFiles] = server.listeners("request");
    const asked = new Promise((resolve) => {
      let isHeld = false;
      server.removeListener("request", serveFiles).on("request", (request, response) => {
        const send = () => serveFiles(request, response);
        // Helpers ask for it again.
        if (isHeld || !/\/worker-[^/]+\.js$/.test(request.url)) return send();
        isHeld = true;
        resolve(send);
      });
    });
    const page = await Page.open(browser, `${address}lab/`, {
      model: `/models/${basename(MODEL)}`,
      backend: "cpu",
    });
    // The 20 seconds until the next way is tried are over at once.
    await page.tab.evaluate(() => {
      const { setTimeout } = window;
      self.passed = new Promise((resolve) => {
        window.setTimeout = (act, milliseconds) =>
          milliseconds === 20_000
            ? setTimeout(() => resolve(act()))
            : setTimeout(act, milliseconds);
      });
    });
    await page.tab.click("#load");
    const [send] = await Promise.all([asked, page.tab.evaluate(() => self.passed)]);
    send();
    await page.loaded();
    assert.equal((await page.ask(messages[0].content)).text, answer);
  });
});

describe("a browser that gives modules no memory", () => {
  it("is told of as such", async (test) => {
    const [site, browser] = await Promise.all([
      servePage(),
      launch("chromium without WebGPU", { args: ["--js-flags=--wasm-max-mem-pages=2"] }),
    ]);
    test.after(() => {
      site.close();
      return browser.close();
    });
    const page = await Page.open(browser, site.address, {
      model: "/models/none.gguf",
      backend: "cpu",
    });
    await assert.rejects(page.load(), {
      code: "out-of-memory",
      message: /^the engine's module gets no memory here/,
    });
  });
});
