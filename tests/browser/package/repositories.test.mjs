// Repositories of a hub as models: what their addresses become, the commit that is kept, files compared with published hashes.

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
const GGUFS = ["a.Q4_0.gguf", "a.Q8_0.gguf"];
const SPLIT = ["b-00001-of-00002.gguf", "b-00002-of-00002.gguf"];

/** A page for which the hub has one repository of these files, the tiny model's at one commit; `status` is what its API answers. */
async function openWithHub({ siblings = SAFETENSORS, status = 200, sha256 }) {
  const tab = await host.openTab();
  const standIn = (hub, api, status, files) => {
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
        return Promise.resolve(
          new Response(JSON.stringify({ ...api, sha: self.head ?? api.sha }), { status }),
        );
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
  const stand = (thread) => thread.evaluate(standIn, HUB, api, status, host.tiny);
  tab.on("workercreated", stand);
  await stand(tab);
  return tab;
}

/** An address → what the repository has, the revision that is asked for, and what the engine reads then or the error. */
const ADDRESSES = [
  ["", SAFETENSORS, "main", ""],
  ["/", SAFETENSORS, "main", ""],
  ["/tree/v2", SAFETENSORS, "v2", ""],
  ["/tree/main/sub", SAFETENSORS.map((file) => `sub/${file}`), "main", "sub/"],
  ["/blob/main/a.Q4_0.gguf", GGUFS, "main", "a.Q4_0.gguf"],
  ["/resolve/main/a.Q4_0.gguf", GGUFS, "main", "a.Q4_0.gguf"],
  ["", SPLIT, "main", "b-00001-of-00002.gguf"],
  ["", ["adapter_config.json", "adapter_model.safetensors", "c.Q4_0.GGUF"], "main", "c.Q4_0.GGUF"],
  ["", ["c.gguf", "c-lora-f16.gguf"], "main", "c.gguf"],
  ["", ["c-lora-merged.gguf"], "main", "c-lora-merged.gguf"],
  [
    "",
    ["adapter_config.json", "adapter_model.safetensors"],
    "main",
    { code: "not-a-model", message: /has an adapter, and not the model/ },
  ],
  [
    "",
    GGUFS,
    "main",
    { code: "bad-option", message: /several models.*a\.Q4_0\.gguf or a\.Q8_0\.gguf/ },
  ],
  ["", ["README.md"], "main", { code: "not-a-model", message: /neither safetensors nor a GGUF/ }],
  ["/blob/main/c.gguf", GGUFS, "main", { code: "not-found", message: /c\.gguf is not in/ }],
];

describe("the address of a repository", () => {
  for (const [path, siblings, revision, becomes] of ADDRESSES) {
    const outcome = typeof becomes === "string" ? `/${becomes} of a commit` : becomes.code;
    it(`org/tiny${path} with ${siblings.join(", ")} becomes ${outcome}`, async () => {
      const tab = await openWithHub({ siblings });
      const { asked, found, error } = await tab.evaluate(async (model) => {
        await caches.delete("phi-wasm");
        const loading = Phi.load({ model, backend: "cpu", storage: "none" });
        const error = await failure(loading);
        return {
          asked: self.asked,
          error,
          found: error ? error.message : (await loading).description.model,
        };
      }, `${HUB}/org/tiny${path}`);
      assert.deepEqual(asked, [`/api/models/org/tiny/revision/${revision}`]);
      // The stand-in has no GGUF; the error then names what was looked for.
      if (typeof becomes === "string")
        assert.ok(found.includes(`${HUB}/org/tiny/resolve/${COMMIT}/${becomes}`), found);
      else
        assert.deepEqual(
          [error?.code, becomes.message.test(error?.message)],
          [becomes.code, true],
          error?.message,
        );
      await tab.close();
    });
  }

  it("may begin with www.", async () => {
    const tab = await openWithHub({});
    const said = await tab.evaluate(
      async (model) => {
        await caches.delete("phi-wasm");
        const phi = await Phi.load({ model, backend: "cpu", storage: "none" });
        await phi.unload();
        return phi.description.model;
      },
      `${HUB.replace("//", "//www.")}/org/tiny`,
    );
    assert.equal(said, `${HUB}/org/tiny/resolve/${COMMIT}/`);
    await tab.close();
  });

  it("that is not for everyone takes a token, which goes to the hub and to nobody else", async () => {
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

  it("is the model's, which answers, and whose commit is remembered where the hub is gone", async () => {
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

  it("that the hub does not know is not found", async () => {
    const tab = await openWithHub({ siblings: [], status: 401 });
    const error = await tab.evaluate(
      (model) => failure(Phi.load({ model, storage: "none" })),
      `${HUB}/org/none`,
    );
    assert.deepEqual([error.name, error.code], ["NetworkError", "not-found"]);
    await tab.close();
  });

  for (const isRight of [true, false]) {
    it(`has files that are compared with the hub's SHA-256, which is ${isRight ? "right" : "wrong"}`, async () => {
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
