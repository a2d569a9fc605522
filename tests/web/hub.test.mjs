// Addresses of a hub's repositories: which file or folder they become, at which commit, and what is
// sent along.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { alongWith, pinned } from "../../web/src/hub.ts";
import { Caches } from "./browser.mjs";

const HUB = "https://huggingface.co";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const SAFETENSORS = ["README.md", "config.json", "model.safetensors", "tokenizer.json"];
const GGUFS = ["a.Q4_0.gguf", "a.Q8_0.gguf"];
const SPLIT = ["b-00001-of-00002.gguf", "b-00002-of-00002.gguf"];
const ADAPTER = ["adapter_config.json", "adapter_model.safetensors"];

const { fetch } = globalThis;
let asked;
beforeEach(() => {
  asked = [];
  globalThis.caches = new Caches();
});
afterEach(() => {
  globalThis.fetch = fetch;
  delete globalThis.caches;
});

/** The hub has a repository of these files; `status` is what it answers, 0 nothing at all. */
function hub({ files = SAFETENSORS, status = 200, sha = COMMIT, sha256 = {} } = {}) {
  globalThis.fetch = async (address, { headers = {} }) => {
    asked.push([address, headers.Authorization]);
    if (status === 0) throw new TypeError("no network");
    const siblings = files.map((rfilename) => {
      return { rfilename, ...(sha256[rfilename] && { lfs: { sha256: sha256[rfilename] } }) };
    });
    return new Response(JSON.stringify({ sha, siblings }), { status });
  };
}

/**
 * What comes after the repository → what that has, the revision that is asked for, what is read
 * then, or the error.
 */
const ADDRESSES = [
  ["", SAFETENSORS, "main", ""],
  ["/", SAFETENSORS, "main", ""],
  ["/tree/v2", SAFETENSORS, "v2", ""],
  ["/tree/refs%2Fpr%2F1", SAFETENSORS, "refs%2Fpr%2F1", ""],
  ["/tree/main/sub", SAFETENSORS.map((file) => `sub/${file}`), "main", "sub/"],
  ["/blob/main/a.Q4_0.gguf", GGUFS, "main", "a.Q4_0.gguf"],
  ["/resolve/main/a.Q4_0.gguf", GGUFS, "main", "a.Q4_0.gguf"],
  ["/blob/main/with%20blank.gguf", ["with blank.gguf"], "main", "with%20blank.gguf"],
  ["", ["with blank.gguf"], "main", "with%20blank.gguf"],
  ["", SPLIT, "main", "b-00001-of-00002.gguf"],
  ["", [...ADAPTER, "c.Q4_0.GGUF"], "main", "c.Q4_0.GGUF"],
  ["", ["c.gguf", "c-lora-f16.gguf"], "main", "c.gguf"],
  ["", ["c-lora-merged.gguf"], "main", "c-lora-merged.gguf"],
  ["", ADAPTER, "main", ["ModelError", "not-a-model", /has an adapter, and not the model/]],
  ["", GGUFS, "main", ["InputError", "bad-option", /several models.*a\.Q4_0\.gguf or a\.Q8_0/]],
  ["", ["README.md"], "main", ["ModelError", "not-a-model", /neither safetensors nor a GGUF/]],
  ["/blob/main/c.gguf", GGUFS, "main", ["NetworkError", "not-found", /c\.gguf is not in/]],
];

describe("the address of a repository", () => {
  for (const [path, files, revision, becomes] of ADDRESSES) {
    const outcome = Array.isArray(becomes) ? becomes[1] : `/${becomes} of a commit`;
    it(`org/tiny${path} with ${files.join(", ")} becomes ${outcome}`, async () => {
      hub({ files });
      const found = pinned(`${HUB}/org/tiny${path}`, {});
      if (Array.isArray(becomes)) {
        const [name, code, message] = becomes;
        await assert.rejects(found, { name, code, message });
      } else {
        assert.equal((await found).address, `${HUB}/org/tiny/resolve/${COMMIT}/${becomes}`);
      }
      const api = `${HUB}/api/models/org/tiny/revision/${revision}?blobs=true`;
      assert.deepEqual(asked, [[api, undefined]]);
    });
  }

  it("may begin with www., and may be the hub's short one", async () => {
    hub();
    for (const [host, origin] of [
      ["https://www.huggingface.co", HUB],
      ["https://hf.co", "https://hf.co"],
    ]) {
      const { address } = await pinned(`${host}/org/tiny`, {});
      assert.equal(address, `${origin}/org/tiny/resolve/${COMMIT}/`);
    }
  });

  it("gives the published hashes of large files by their names there", async () => {
    const files = ["sub/model.safetensors", "sub/config.json", "other/model.safetensors"];
    hub({ files, sha256: { [files[0]]: "aa", [files[2]]: "bb" } });
    const { sha256 } = await pinned(`${HUB}/org/tiny/tree/main/sub`, {});
    assert.deepEqual(sha256, { "model.safetensors": "aa" });
  });

  for (const address of [
    "https://models.example/org/tiny",
    `${HUB}/org/tiny/resolve/${COMMIT}/a.gguf`,
    `${HUB}/datasets/org/data`,
    `${HUB}/a/b/c`,
  ]) {
    it(`is not ${address}, and stays as it is`, async () => {
      hub();
      assert.deepEqual(await pinned(address, {}), { address, sha256: {} });
      assert.deepEqual(asked, []);
    });
  }

  for (const status of [401, 403, 404]) {
    it(`that the hub answers with ${status} is not found`, async () => {
      hub({ status });
      const message = new RegExp(`not for everyone \\(the hub answers ${status}\\)`);
      const error = { name: "NetworkError", code: "not-found", message };
      await assert.rejects(pinned(`${HUB}/org/none`, {}), error);
    });
  }

  it("that the hub fails to answer is tried again later", async () => {
    hub({ status: 500 });
    await assert.rejects(pinned(`${HUB}/org/tiny`, {}), { code: "network", message: /later$/ });
    hub({ status: 0 });
    await assert.rejects(pinned(`${HUB}/org/tiny`, {}), { code: "network", message: /network/ });
  });

  it("whose asking is called off is cancelled", async () => {
    hub({ status: 0 });
    const asker = { signal: AbortSignal.abort() };
    await assert.rejects(pinned(`${HUB}/org/tiny`, asker), { code: "cancelled" });
  });

  it("is remembered at its commit, by its later address, too, without the hub", async () => {
    hub({ sha256: { "model.safetensors": "aa" } });
    const found = await pinned(`${HUB}/org/tiny`, {});
    hub({ status: 0 });
    assert.deepEqual(await pinned(`${HUB}/org/tiny`, {}), found);
    assert.deepEqual(await pinned(found.address, {}), found);
    // What the hub says counts for more than a memory.
    hub({ status: 404 });
    await assert.rejects(pinned(`${HUB}/org/tiny`, {}), { code: "not-found" });
  });

  it("is asked for with the token that is given", async () => {
    hub();
    await pinned(`${HUB}/org/tiny`, { token: "hf_secret" });
    assert.equal(asked[0][1], "Bearer hf_secret");
  });
});

describe("what goes along with requests", () => {
  const ROWS = [
    ["the token to the hub", `${HUB}/x`, { token: "t" }, { Authorization: "Bearer t" }],
    ["no token to others", "https://models.example/x", { token: "t" }, undefined],
    [
      "no token to who is called like the hub",
      "https://huggingface.co.evil/x",
      { token: "t" },
      undefined,
    ],
    ["headers to any", "https://models.example/x", { headers: { A: "1" } }, { A: "1" }],
    ["nothing where nothing is given", `${HUB}/x`, {}, undefined],
  ];
  for (const [what, address, given, headers] of ROWS) {
    it(`is ${what}`, () => {
      const { origin } = new URL(address);
      assert.deepEqual(alongWith(address, given), headers && { origin, headers });
    });
  }
});
