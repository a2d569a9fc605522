// Repositories of a hub as models: who gets the token, the commit that is kept, files compared with
// published hashes. What their addresses become is tested without a browser
// (tests/web/hub.test.mjs).

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openHost } from "./host.mjs";

let host;
before(async () => (host = await openHost()));
after(() => host?.close());

const HUB = "https://huggingface.co";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const SAFETENSORS = [
  "README.md",
  "config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
];

/** A page for which the hub has one repository of these files, the tiny model's at one commit. */
async function openWithHub({ siblings = SAFETENSORS, sha256 }) {
  const tab = await host.openTab();
  const standIn = (hub, api, files) => {
    const { fetch } = self;
    self.asked = [];
    self.fetch = (what, options) => {
      const { href, origin, pathname } = new URL(what.url ?? what, location.href);
      if (origin !== hub) return fetch(what, options);
      self.asked.push(pathname);
      if (!self.document)
        new BroadcastChannel("sent").postMessage(what.headers.get("Authorization"));
      if (self.isGone) return Promise.reject(new TypeError("the hub is gone"));
      if (pathname.startsWith("/api/"))
        return Promise.resolve(new Response(JSON.stringify({ ...api, sha: self.head ?? api.sha })));
      const asked = new Request(href.replace(/.*\/resolve\/[0-9a-f]{40}\//, files), what);
      asked.headers.delete("Authorization");
      return fetch(asked);
    };
  };
  const api = {
    id: "org/tiny",
    sha: COMMIT,
    siblings: siblings.map((rfilename) => ({
      rfilename,
      ...(sha256 && rfilename.endsWith(".safetensors") && { lfs: { sha256 } }),
    })),
  };
  const stand = (thread) => thread.evaluate(standIn, HUB, api, host.tiny);
  tab.on("workercreated", stand);
  await stand(tab);
  return tab;
}

describe("the address of a repository", () => {
  it("that has several models is refused, by the hub's word alone", async () => {
    const tab = await openWithHub({ siblings: ["a.Q4_0.gguf", "a.Q8_0.gguf"] });
    const { asked, error } = await tab.evaluate(async (model) => {
      const error = await failure(Phi.load({ model, backend: "cpu", storage: "none" }));
      return { asked: self.asked, error };
    }, `${HUB}/org/tiny/tree/v2`);
    assert.deepEqual(asked, ["/api/models/org/tiny/revision/v2"]);
    assert.deepEqual([error?.name, error?.code], ["InputError", "bad-option"], error?.message);
    await tab.close();
  });

  it("that is not for everyone takes a token, which goes to the hub and nowhere else", async () => {
    const tab = await openWithHub({});
    const sent = await tab.evaluate(
      async ([model, other]) => {
        await caches.delete("phi-wasm");
        const { fetch } = self;
        const sent = [];
        self.fetch = (what, options) => {
          sent.push(new Headers(options?.headers).get("Authorization"));
          return fetch(what, options);
        };
        const heard = new BroadcastChannel("sent");
        heard.onmessage = ({ data }) => sent.push(data);
        for (const address of [model, other]) {
          sent.push(address);
          await (
            await Phi.load({ model: address, backend: "cpu", storage: "none", token: "hf_secret" })
          ).unload();
        }
        self.fetch = fetch;
        return sent;
      },
      [`${HUB}/org/tiny`, host.tiny],
    );
    const [first, last] = [
      sent.slice(1, sent.indexOf(host.tiny)),
      sent.slice(sent.indexOf(host.tiny) + 1),
    ];
    assert.ok(
      first.length > 2 && first.every((one) => one === "Bearer hf_secret"),
      JSON.stringify(sent),
    );
    assert.deepEqual(last.filter(Boolean), []);
    await tab.close();
  });

  it("is the model's, which answers, and is known by commit where the hub is gone", async () => {
    const tab = await openWithHub({});
    const said = await tab.evaluate(async (model) => {
      await caches.delete("phi-wasm");
      const said = [];
      for (const isGone of [false, true]) {
        self.isGone = isGone;
        const phi = await Phi.load({ model, backend: "cpu", storage: "none" });
        const { usage } = await phi.complete({ prompt: "abc", max_tokens: 4 });
        await phi.unload();
        said.push([phi.description.model, usage.completion_tokens]);
      }
      return said;
    }, `${HUB}/org/tiny`);
    const expected = [`${HUB}/org/tiny/resolve/${COMMIT}/`, 4];
    assert.deepEqual(said, [expected, expected]);
    await tab.close();
  });

  for (const isRight of [true, false]) {
    it(`has files compared with the hub's SHA-256, ${isRight ? "right" : "wrong"}`, async () => {
      const sha256 = createHash("sha256")
        .update(isRight ? readFileSync(join(host.folder, "model.safetensors")) : "other bytes")
        .digest("hex");
      const tab = await openWithHub({ sha256 });
      const { error, models } = await tab.evaluate(async (model) => {
        await caches.delete("phi-wasm");
        const loading = Phi.load({ model, backend: "cpu" });
        const error = await failure(loading);
        if (!error) await (await loading).unload();
        const models = await Phi.listModels();
        for (const { id } of models) await Phi.deleteModel(id);
        return { error, models: models.map(({ complete }) => complete) };
      }, `${HUB}/org/tiny`);
      assert.deepEqual(
        [error?.code, models],
        isRight ? [undefined, [true]] : ["corrupt", [false]],
        error?.message,
      );
      await tab.close();
    });
  }

  it("stays at the commit that is stored, until that is deleted", async () => {
    const tab = await openWithHub({});
    const models = await tab.evaluate(async (model) => {
      await caches.delete("phi-wasm");
      const models = [];
      const load = async () => {
        const phi = await Phi.load({ model, backend: "cpu" });
        models.push(phi.description.model);
        await phi.unload();
      };
      await load();
      self.head = "f".repeat(40);
      await load();
      const [{ id }] = await Phi.listModels();
      await Phi.deleteModel(id);
      await load();
      for (const { id } of await Phi.listModels()) await Phi.deleteModel(id);
      return models;
    }, `${HUB}/org/tiny`);
    assert.deepEqual(
      models,
      [COMMIT, COMMIT, "f".repeat(40)].map((commit) => `${HUB}/org/tiny/resolve/${commit}/`),
    );
    await tab.close();
  });
});
