// What browsers keep for the engine: every kind of storage against an array in memory, and all that
// can happen to it, as many lines as cases.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { needed } from "../../web/tools/memory.mjs";
import { LONGEST, until } from "../../web/tools/waiting.mjs";
import { Device, Lab, makeFolder, serveLab } from "./storage-lab.mjs";

const MIB = 1 << 20;
/**
 * What shows up the more surely the longer it is tried is tried longer where time does not count.
 */
const LONG = Boolean(process.env.PHI_LONG);
const ID = "0123456789abcdef0123456789abcdef";
const OTHER = "fedcba9876543210fedcba9876543210";

let site;
before(async () => (site = await serveLab()));
after(() => site.close());

/** browser · what is taken from it · the storage that it must come to */
const STORES = [
  ["chromium", [], "opfs"],
  ["chromium", ["shared views"], "opfs"],
  ["chromium", ["handles"], "indexeddb"],
  ["chromium", ["opfs", "indexeddb"], "none"],
  ["firefox", [], "opfs"],
  ["firefox", ["opfs"], "indexeddb"],
  ["firefox", ["opfs", "indexeddb", "locks"], "none"],
  ["webkit", [], "indexeddb"],
  ["webkit", ["opfs", "indexeddb"], "none"],
];

/** The browsers that tests share which leave no more behind than they found. */
const devices = Object.fromEntries(
  [...new Set(STORES.map(([kind]) => kind))].map((kind) => [kind, new Device(kind)]),
);
before(() => Promise.all(Object.values(devices).map((device) => device.start())));
after(() => Promise.all(Object.values(devices).map((device) => device.end())));

/** A test for every store of a kind that outlives a page. */
function onDevices(stores, body) {
  for (const [kind, device] of Object.entries(devices)) {
    const here = stores.filter(([browser]) => browser === kind);
    if (here.length === 0) continue;
    describe(kind, () => {
      for (const [, without, storage] of here) {
        const lacks = without.length > 0 ? ` (without ${without.join(", ")})` : "";
        describe(`${storage}${lacks}`, () => {
          body(device, without, storage);
          after(() => device.closeTabs());
        });
      }
    });
  }
}

const KEPT = STORES.filter(
  ([, without, storage]) => storage !== "none" && !without.includes("shared views"),
);
const about = (facts) =>
  JSON.stringify({
    version: 1,
    name: "org/Tiny Phi",
    source: "https://example.org/tiny",
    created: 1.7e12,
    used: 1.8e12,
    ...facts,
  });

describe("the storage of a model", () => {
  onDevices(STORES, (device, without, storage) => {
    const sharesMemory = device.kind !== "webkit";
    let lab, opened;
    before(async () => {
      lab = await Lab.open(device.browser, site.address, ...without);
      opened = await lab.ask("open", { id: ID });
    });
    after(async () => {
      await lab.start();
      await lab.ask("delete", { id: ID });
    });

    it("is of the best kind, if there is any, and tells why of no better", () => {
      const { kind, refused } = opened;
      assert.equal(kind, storage);
      assert.deepEqual(
        refused.map(({ kind }) => kind),
        { opfs: [], indexeddb: ["opfs"], none: ["opfs", "indexeddb"] }[storage],
      );
      for (const { why } of refused) assert.match(why, /\w+ \w+/);
    });
    if (storage === "none") return;

    it(`${sharesMemory ? "may be given" : "is never given"} shared memory here`, async () => {
      assert.equal(await lab.tab.evaluate(() => "SharedArrayBuffer" in window), sharesMemory);
    });

    for (const shared of sharesMemory ? [false, true] : [false]) {
      it(`holds what an array holds, with ${shared ? "shared memory" : "its own"}`, async () => {
        const wishes = { rounds: LONG ? 120 : 40, most: 7 * MIB, shared };
        const digests = {};
        for (const [file, seed] of [
          ["a.safetensors", 1],
          ["b.safetensors", 2],
        ])
          digests[file] = await lab.ask("scribble", { ...wishes, file, seed });
        for (const [file, digest] of Object.entries(digests))
          assert.equal(await lab.ask("digest", { file }), digest);
        await lab.reload();
        assert.equal((await lab.ask("open", { id: ID })).kind, storage);
        for (const [file, digest] of Object.entries(digests))
          assert.equal(await lab.ask("digest", { file }), digest, `${file} after a reload`);
      });
    }

    it("takes many first touches of a file at once", async () => {
      assert.deepEqual(await lab.ask("together", { file: "new", count: 5 }), [0, 1, 2, 3, 4]);
    });

    if (storage === "opfs") {
      it("never takes memory that moved for memory that is full", async () => {
        await assert.rejects(lab.ask("moved", { file: "moved" }), {
          code: "io",
          message: /^moved: the memory to read it into was moved meanwhile/,
        });
        assert.equal(
          await lab.ask("digest", { file: "moved" }),
          createHash("sha256").update(Buffer.alloc(4, 7)).digest("hex"),
        );
      });
    }

    it("says what is not there", async () => {
      assert.equal(await lab.ask("size", { file: "none" }), null);
      await assert.rejects(lab.ask("read", { file: "none", at: 0, length: 1 }), {
        code: "not-found",
        message: /^none is not stored/,
      });
      await lab.ask("writeText", { file: "short", text: "four" });
      await assert.rejects(lab.ask("read", { file: "short", at: 2, length: 3 }), {
        code: "io",
        message: /^short ends at byte 4, but bytes 2 to 5 /,
      });
      await lab.ask("remove", { file: "short" });
      await lab.ask("remove", { file: "short" });
      assert.equal(await lab.ask("size", { file: "short" }), null);
    });

    if (storage === "opfs") {
      it("answers at once once a file is open", async () => {
        await lab.ask("writeText", { file: "open", text: "four" });
        assert.equal(await lab.ask("atOnce", { file: "open" }), true);
      });
    }
  });
});

describe("a browser process that is killed", () => {
  onDevices(
    KEPT.filter(([browser]) => browser !== "webkit"),
    (device, without) => {
      for (const [seed, upTo] of LONG
        ? [
            [1, 2],
            [2, 17],
            [3, 40],
          ]
        : [[2, 17]]) {
        it(`after ${upTo} MiB has what was flushed`, async () => {
          const wishes = { file: "model.safetensors", seed, size: 48 * MIB, piece: MIB };
          const lab = await Lab.open(device.browser, site.address, ...without);
          await lab.ask("open", { id: ID });
          await lab.begin("fill", wishes);
          let flushed = 0;
          while (flushed < upTo * MIB) flushed = await lab.flushed();
          await device.kill();
          await device.start();
          const next = await Lab.open(device.browser, site.address, ...without);
          await next.ask("open", { id: ID });
          assert.equal(await next.ask("size", wishes), wishes.size);
          const wrong = await next.ask("check", wishes);
          assert.ok(
            wrong === -1 || wrong >= flushed,
            `byte ${wrong} was flushed before byte ${flushed} and is lost`,
          );
          await next.ask("close");
          await next.ask("delete", { id: ID });
        });
      }
    },
  );
});

describe("two tabs", () => {
  onDevices(
    KEPT.filter(([browser]) => browser !== "webkit"),
    (device, without) => {
      it("do not have a model at once: the second waits, or is told who has it", async () => {
        const [first, second] = await Promise.all(
          [1, 2].map(() => Lab.open(device.browser, site.address, ...without)),
        );
        await first.ask("open", { id: ID });
        await first.ask("writeText", { file: "about.json", text: about({ complete: false }) });
        await assert.rejects(second.ask("open", { id: ID }), {
          code: "in-use",
          message: /^org\/Tiny Phi is in use, here or in another tab/,
        });
        await assert.rejects(second.ask("open", { id: ID, patience: 100 }), { code: "in-use" });
        await assert.rejects(second.ask("delete", { id: ID }), { code: "in-use" });
        await second.ask("open", { id: OTHER });
        await second.ask("close");
        await second.begin("open", { id: ID, patience: LONGEST });
        await first.ask("close");
        await second.outcome();
        await first.begin("open", { id: ID, patience: LONGEST });
        await second.tab.close(); // Its worker is killed with all that it holds.
        await first.outcome();
        await first.ask("close");
        await first.ask("delete", { id: ID });
        await first.ask("delete", { id: OTHER });
      });
    },
  );

  it("without locks keep apart by OPFS's own", async () => {
    const device = await new Device("chromium").start();
    const [first, second] = await Promise.all(
      [1, 2].map(() => Lab.open(device.browser, site.address, "locks")),
    );
    await first.ask("open", { id: ID });
    await assert.rejects(second.ask("open", { id: ID }), {
      code: "in-use",
      message: /^the model is in use by another tab/,
    });
    await device.end();
  });
});

describe("storage that is full", () => {
  const QUOTA = 24 * MIB;
  /** Firefox gives a site a fifth of this, in KiB. */
  const PREFS = { "dom.quotaManager.temporaryStorage.fixedLimit": (5 * QUOTA) >> 10 };

  /**
   * A refusal that names how many bytes are missing: no fewer than they are, for browsers keep some
   * for themselves, nor all.
   */
  const misses = (bytes, wanted) => (error) => {
    assert.equal(error.code, "storage-full", error.message);
    assert.ok(
      error.missing >= bytes && error.missing < wanted,
      `${error.missing} bytes are missing, says it, of ${wanted}; and not ${bytes}`,
    );
    assert.ok(error.message.includes(`(${error.missing} bytes) are missing`), error.message);
    return true;
  };

  for (const [browser, without, storage] of KEPT.filter(([browser]) => browser !== "webkit")) {
    describe(`${browser}, ${storage}`, () => {
      const device = new Device(browser);
      // Chromium's IndexedDB has no room before it says so.
      const tells = browser === "firefox" || storage === "opfs";
      let lab;
      before(async () => {
        await device.start({ extraPrefsFirefox: PREFS });
        lab = await Lab.open(device.browser, site.address, ...without);
        await lab.ask("open", { id: ID });
        if (browser === "firefox") return;
        const cdp = await lab.tab.createCDPSession();
        await cdp.send("Storage.overrideQuotaForOrigin", {
          origin: new URL(site.address).origin,
          quotaSize: QUOTA,
        });
      });
      after(() => device.end());

      if (tells)
        it("is refused when it is asked for", () =>
          assert.rejects(
            lab.ask("ask", { bytes: QUOTA + 5 * MIB }),
            misses(5 * MIB, QUOTA + 5 * MIB),
          ));

      it("is refused when a file's room is asked for", async () => {
        await lab.ask("ask", { bytes: 12 * MIB });
        await lab.ask("fill", { file: "a", seed: 7, size: 6 * MIB, piece: MIB });
        if (tells)
          await assert.rejects(
            lab.ask("resize", { file: "b", size: 20 * MIB }),
            misses(2 * MIB, 20 * MIB),
          );
        await lab.ask("resize", { file: "b", size: 6 * MIB });
        assert.equal(await lab.ask("size", { file: "b" }), 6 * MIB);
      });

      it("is refused when more is written than was asked for, and what was stays", async () => {
        await assert.rejects(lab.ask("put", { file: "a", seed: 7, at: 0, length: 40 * MIB }), {
          code: "storage-full",
        });
        assert.equal(await lab.ask("check", { file: "a", seed: 7, size: 6 * MIB }), -1);
        await lab.ask("resize", { file: "a", size: 6 * MIB });
      });
    });
  }
});

describe("storage that is cleared while a model is in use", () => {
  onDevices(KEPT, (device, without) => {
    it("is told as lost, and can be filled anew", async () => {
      const lab = await Lab.open(device.browser, site.address, ...without);
      const wishes = { file: "model.safetensors", seed: 5, size: 4 * MIB, piece: MIB };
      await lab.ask("open", { id: ID });
      await lab.ask("fill", wishes);
      assert.equal(await lab.ask("fetch", { address: "/clear" }), 204);
      await assert.rejects(lab.ask("fill", wishes), {
        code: "storage-lost",
        message: /^model\.safetensors is gone: the browser's storage was cleared/,
      });
      await lab.start(...without);
      await lab.ask("open", { id: ID, patience: LONGEST });
      assert.equal(await lab.ask("size", wishes), null);
      await lab.ask("fill", wishes);
      assert.equal(await lab.ask("check", wishes), -1);
      await lab.ask("close");
      await lab.ask("delete", { id: ID });
    });

    it("is told as lost in the middle of a write, too", async () => {
      const lab = await Lab.open(device.browser, site.address, ...without);
      // Firefox leaves about every fifth of them without an answer.
      for (let round = 0; round < (device.kind === "firefox" ? 8 : 2); round++) {
        await lab.ask("open", { id: ID });
        await lab.begin("fill", {
          file: "model.safetensors",
          seed: 6,
          size: 1024 * MIB,
          piece: MIB,
        });
        while (!(await lab.flushed()));
        await lab.tab.evaluate(() => void fetch("/clear"));
        await assert.rejects(lab.outcome(), { code: "storage-lost" });
        await lab.start(...without);
        await lab.ask("delete", { id: ID });
      }
    });
  });
});

describe("kept models", () => {
  onDevices(KEPT, (device, without, storage) => {
    const FILES = {
      "config.json": '{"model_type":"phi3"}',
      "empty.txt": "",
      "tokenizer.json": "x".repeat(513),
    };
    let lab;
    before(async () => {
      lab = await Lab.open(device.browser, site.address, ...without);
      await lab.ask("open", { id: ID });
      for (const [file, text] of Object.entries(FILES)) await lab.ask("writeText", { file, text });
      await lab.ask("scribble", {
        file: "model.safetensors",
        seed: 9,
        rounds: 30,
        most: 5 * MIB,
        shared: false,
      });
      await lab.ask("writeText", { file: "journal", text: "not of the model" });
    });

    const note = (facts) =>
      lab.ask("writeText", { file: "about.json", text: about(facts).padEnd(300) });

    it("are listed, also while in use and before they are complete", async () => {
      await note({ bytes: 7 * MIB, stored: 3 * MIB, complete: false });
      const facts = {
        name: "org/Tiny Phi",
        source: "https://example.org/tiny",
        bytes: 7 * MIB,
        storedBytes: 3 * MIB,
        complete: false,
        lastUsed: 1.8e12,
      };
      assert.deepEqual(await lab.ask("list"), [{ id: ID, ...facts, kind: storage }]);
    });

    it("are taken out only when complete", async () => {
      const to = `${site.address}upload`;
      await assert.rejects(lab.ask("export", { id: ID, to }), {
        code: "truncated",
        message: /^of org\/Tiny Phi only \d+ of \d+ bytes are stored/,
      });
      await assert.rejects(lab.ask("export", { id: OTHER, to }), { code: "not-found" });
    });

    it("are taken out as an archive that tar understands, also while in use", async () => {
      await note({ bytes: 7 * MIB, stored: 7 * MIB, complete: true });
      const digests = {};
      for (const file of [...Object.keys(FILES), "model.safetensors"])
        digests[file] = await lab.ask("digest", { file });
      await lab.ask("export", { id: ID, to: `${site.address}upload` });
      const { folder, remove } = makeFolder("tar");
      try {
        writeFileSync(join(folder, "model.tar"), site.uploads.pop());
        execFileSync("tar", ["-xf", "model.tar"], { cwd: folder });
        const inside = join(folder, "Tiny-Phi");
        const found = readdirSync(inside).map((file) => [
          file,
          createHash("sha256")
            .update(readFileSync(join(inside, file)))
            .digest("hex"),
        ]);
        assert.deepEqual(Object.fromEntries(found), digests);
      } finally {
        remove();
      }
    });

    it("are counted", async () => {
      const { usage, quota, persisted, kind } = await lab.ask("estimate");
      // The page's thread still has what the test took from the worker.
      assert.equal(kind, device.kind === "webkit" ? storage : "opfs");
      assert.equal(persisted, false);
      if (device.kind !== "webkit") assert.ok(usage > MIB && quota > usage, `${usage} of ${quota}`);
    });

    it("are deleted when nobody uses them, with what a kill left of others", async () => {
      await assert.rejects(lab.ask("delete", { id: ID }), { code: "in-use" });
      await lab.start(...without); // Kills the worker.
      await lab.ask("open", { id: OTHER, patience: LONGEST });
      await lab.ask("writeText", { file: "about.json", text: '{"version":1,"na' });
      await lab.start(...without);
      const listed = await lab.ask("list");
      assert.deepEqual(listed.map(({ id, name }) => [id, name]).sort(), [
        [ID, "org/Tiny Phi"],
        [OTHER, OTHER],
      ]);
      await lab.ask("delete", { id: ID });
      assert.deepEqual(
        (await lab.ask("list")).map(({ id }) => id),
        [OTHER],
      );
      await lab.ask("delete", { id: OTHER });
      await lab.ask("delete", { id: OTHER });
      assert.deepEqual(await lab.ask("list"), []);
    });
  });
});

describe("a model that lies in IndexedDB", () => {
  it("is found there when the browser has learnt OPFS", async () => {
    const device = await new Device("chromium").start();
    const lab = await Lab.open(device.browser, site.address, "opfs");
    const wishes = { file: "model.safetensors", seed: 3, size: 2 * MIB, piece: MIB };
    await lab.ask("open", { id: ID });
    await lab.ask("fill", wishes);
    await lab.ask("close");
    await lab.start();
    assert.equal((await lab.ask("open", { id: ID })).kind, "indexeddb");
    assert.equal(await lab.ask("check", wishes), -1);
    assert.equal((await lab.ask("open", { id: OTHER })).kind, "opfs");
    await device.end();
  });
});

describe("a large model that is taken out", () => {
  /** More than a browser reads of a stored file ahead of its reader. */
  const AHEAD = 16 * MIB;

  onDevices(
    KEPT.filter(([browser]) => browser === "chromium"),
    (device, without) => {
      it("is not held in memory", async (test) => {
        const size = 64 * MIB;
        const lab = await Lab.open(device.browser, site.address, ...without);
        await lab.ask("open", { id: ID });
        await lab.ask("fill", { file: "model.safetensors", seed: 3, size, piece: 8 * MIB });
        await lab.ask("writeText", {
          file: "about.json",
          text: about({ bytes: size, stored: size, complete: true }),
        });
        const thread = await lab.tab.createCDPSession();
        const before = await needed(thread);
        for (const upTo of [size / 4, size / 2, (3 * size) / 4, size]) {
          // The reading rests while it is measured, but what was asked for ahead of it may still
          // come in: what stays is what is held.
          const read = await lab.ask("readOn", { id: ID, until: upTo });
          assert.ok(read >= upTo);
          const held = await until(
            (bytes) => bytes < AHEAD,
            async () => (await needed(thread)) - before,
            `fewer than ${AHEAD} bytes held of ${read}`,
          );
          test.diagnostic(`${(held / MIB).toFixed(1)} MiB held after ${(read / MIB).toFixed(1)}`);
        }
        assert.ok((await lab.ask("readOn", { id: ID, until: 2 * size })) > size);
        await lab.ask("close");
        await lab.ask("delete", { id: ID });
      });
    },
  );
});

describe("rates, for the record", () => {
  onDevices(KEPT, (device, without, storage) => {
    it("in pieces of 8 MiB", async (test) => {
      const lab = await Lab.open(device.browser, site.address, ...without);
      await lab.ask("open", { id: ID });
      const { written, flushed, read } = await lab.ask("rates", {
        file: "model.safetensors",
        size: (LONG ? 256 : 32) * MIB,
        piece: 8 * MIB,
      });
      test.diagnostic(
        `${device.kind}, ${storage}: ${written} MB/s written, ${flushed} MB/s written and ` +
          `flushed, ${read} MB/s read`,
      );
      assert.ok(written > 0 && flushed > 0 && read > 0);
      await lab.ask("close");
      await lab.ask("delete", { id: ID });
    });
  });
});
