// What becomes of a download: it is kept, taken up where it ended, checked, and needs no server
// afterwards.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openTab } from "../../web/tools/browser.mjs";
import { Hub } from "./hub.mjs";
import { makeRandomModel, RANDOM_ANSWERS, SMALL } from "./random-model.mjs";
import { servePage } from "./setting.mjs";
import { Device, makeFolder } from "./storage-lab.mjs";

const MODEL = makeRandomModel(SMALL);
const SIZE = statSync(MODEL).size;
const [{ messages, answer }] = RANDOM_ANSWERS.small;
/** Kills of a download. */
const KILLS = process.env.PHI_LONG ? 20 : 8;
/**
 * What a start reads of the file before its weights, and what a kill loses of those that were on
 * their way, at the most.
 */
const [HEADERS, UNDER_WAY] = [1 << 20, 2 << 20];
/** Bytes of what is checked, fetched and kept at once, at the most. */
const UNIT = 9 << 20;

let site, hub;
before(async () => ([site, hub] = await Promise.all([servePage(), Hub.open(dirname(MODEL))])));
after(() => {
  site?.close();
  hub?.close();
});

/** The package on a page, with one model. */
class Tab {
  static async open(device) {
    const self = new Tab();
    self.tab = await openTab(device.browser);
    await self.tab.goto(site.address);
    await self.tab.evaluate(() => {
      self.heard = [];
      self.loading = (options) =>
        Phi.load({
          backend: "cpu",
          ...options,
          onProgress: (progress) => heard.push(progress),
        }).then((phi) => (self.phi = phi));
      self.asPlain = (error) => ({
        error: { code: error.code, message: error.message, missing: error.missing },
      });
    });
    return self;
  }

  /** Begins to load and does not wait. */
  begin(options) {
    return this.tab.evaluate(
      (options) =>
        void (self.outcome = loading(options).then(
          (phi) => ({ description: phi.description }),
          asPlain,
        )),
      options,
    );
  }

  /** What came of it; throws what it threw. */
  async loaded() {
    const { description, error } = await this.tab.evaluate(() => self.outcome);
    if (error) throw Object.assign(new Error(error.message), error);
    return description;
  }

  async load(options) {
    await this.begin(options);
    return this.loaded();
  }

  /** Bytes that are kept, as the page heard it last. */
  stored() {
    return this.tab.evaluate(() => heard.at(-1)?.stored ?? 0);
  }

  ask() {
    return this.tab.evaluate(
      async (messages) =>
        (await phi.chat.completions.create({ messages, temperature: 0 })).choices[0].message
          .content,
      messages,
    );
  }

  /** Calls a static method of `Phi`. */
  async call(method, ...values) {
    const result = await this.tab.evaluate(
      async (method, values) => Phi[method](...values).then((value) => ({ value }), asPlain),
      method,
      values,
    );
    if (result.error) throw Object.assign(new Error(result.error.message), result.error);
    return result.value;
  }

  /** The kept model's files by name, as their hashes. */
  async files() {
    const [{ id }] = await this.call("listModels");
    const base64 = await this.tab.evaluate(async (id) => {
      const bytes = await new Response(await Phi.exportModel(id)).blob();
      const reader = new FileReader();
      return new Promise((resolve) => {
        reader.onload = () => resolve(reader.result.split(",")[1]);
        reader.readAsDataURL(bytes);
      });
    }, id);
    const { folder, remove } = makeFolder("export");
    writeFileSync(join(folder, "model.tar"), Buffer.from(base64, "base64"));
    mkdirSync(join(folder, "files"));
    execFileSync("tar", [
      "xf",
      join(folder, "model.tar"),
      "-C",
      join(folder, "files"),
      "--transform",
      "s,.*/,,",
    ]);
    const hashes = readdirSync(join(folder, "files")).map((file) => [
      file,
      createHash("sha256")
        .update(readFileSync(join(folder, "files", file)))
        .digest("hex"),
    ]);
    remove();
    return Object.fromEntries(hashes);
  }

  close() {
    return this.tab.close();
  }
}

const address = () => hub.address + basename(MODEL);

for (const kind of ["chromium", "firefox"]) {
  describe(`a model in ${kind}`, () => {
    let device;
    before(async () => (device = await new Device(kind).start()));
    after(() => device.end());

    it("is downloaded, kept and answers", async () => {
      const tab = await Tab.open(device);
      const description = await tab.load({ model: address() });
      assert.equal(description.storage, "opfs");
      assert.equal(await tab.ask(), answer);
      const heard = await tab.tab.evaluate(() => heard);
      assert.ok(
        heard.some(({ phase }) => phase === "downloading") &&
          heard.every(({ done, total }) => done <= total),
        JSON.stringify(heard.at(-1)),
      );
      const [model] = await tab.call("listModels");
      assert.ok(model.complete && model.source === address(), JSON.stringify(model));
      await tab.close();
    });

    it("comes from storage after that, without a request", async () => {
      const tab = await Tab.open(device);
      const before = hub.requests;
      assert.equal((await tab.load({ model: address() })).storage, "opfs");
      assert.equal(await tab.ask(), answer);
      assert.equal(hub.requests, before);
      assert.ok(await tab.tab.evaluate(() => heard.every(({ phase }) => phase === "loading")));
      await tab.close();
    });

    it("is shared by tabs that are open at once", async () => {
      const tabs = [await Tab.open(device), await Tab.open(device)];
      const before = hub.requests;
      for (const tab of tabs) await tab.begin({ model: address() });
      for (const tab of tabs) await tab.loaded();
      assert.equal(hub.requests, before);
      await Promise.all(tabs.map((tab) => tab.close()));
    });

    it("is checked, and a bit that flipped is found and fetched again alone", async () => {
      const tab = await Tab.open(device);
      const [{ id }] = await tab.call("listModels");
      assert.deepEqual(await tab.call("checkModel", id), { bad: 0, repaired: 0 });
      await tab.tab.evaluate(async (id) => {
        const folder = await (
          await (await navigator.storage.getDirectory()).getDirectoryHandle("phi-wasm")
        ).getDirectoryHandle(id);
        const file = await folder.getFileHandle("model.safetensors");
        const at = 14_000_000;
        const [byte] = new Uint8Array(await (await file.getFile()).slice(at, at + 1).arrayBuffer());
        const writer = await file.createWritable({ keepExistingData: true });
        await writer.write({ type: "write", position: at, data: new Uint8Array([byte ^ 16]) });
        await writer.close();
      }, id);
      const before = hub.sent;
      const { bad, repaired } = await tab.call("checkModel", id);
      assert.equal(bad, 1);
      assert.ok(repaired > 0 && repaired < UNIT, `${repaired} bytes were written again`);
      assert.ok(
        hub.sent - before < UNIT + HEADERS,
        `${hub.sent - before} bytes were fetched again`,
      );
      assert.deepEqual(await tab.call("checkModel", id), { bad: 0, repaired: 0 });
      await tab.close();
    });

    it("is deleted", async () => {
      const tab = await Tab.open(device);
      const [{ id }] = await tab.call("listModels");
      await tab.call("deleteModel", id);
      assert.deepEqual(await tab.call("listModels"), []);
      await tab.close();
    });
  });
}

describe("a download in Chromium", () => {
  let whole;
  before(async () => {
    const device = await new Device("chromium").start();
    const tab = await Tab.open(device);
    await tab.load({ model: address() });
    await tab.tab.evaluate(() => phi.unload());
    whole = await tab.files();
    await device.end();
    assert.ok(Object.keys(whole).includes("phi-manifest.json"));
  });

  it(`survives ${KILLS} kills, and is byte for byte the same in the end`, async (t) => {
    const device = new Device("chromium");
    let stored = 0;
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        await device.start();
        // At its first word, or once something new is kept. Enough for that is sent, and no life
        // comes to the end of the file.
        const isLate = kill % (KILLS / 4) === 1;
        hub.allow(SIZE / (isLate ? 6 : 9));
        const tab = await Tab.open(device);
        await tab.begin({ model: address() });
        await tab.tab.waitForFunction(
          (least) => heard.at(-1)?.stored >= least,
          {},
          stored + (isLate ? SIZE / 64 : 0),
        );
        const now = await tab.stored();
        // What one life has kept, the next one has.
        assert.ok(now >= stored, `${now} bytes are kept after ${kill} kills; there were ${stored}`);
        stored = now;
        await device.kill();
        await hub.idle();
      }
      assert.ok(
        stored >= SIZE / 16 && stored < SIZE,
        `${stored} bytes were kept after the last kill`,
      );
      hub.allow(Infinity);
      await device.start();
      const tab = await Tab.open(device);
      const { sent } = hub;
      await tab.load({ model: address() });
      const again = hub.sent - sent - (SIZE - stored);
      t.diagnostic(
        `${stored} of ${SIZE} bytes were kept after the last kill, and ${again} came again`,
      );
      assert.ok(again < HEADERS + UNDER_WAY, `${again} bytes came again that were kept`);
      assert.equal(await tab.ask(), answer);
      await tab.tab.evaluate(() => phi.unload());
      assert.deepEqual(await tab.files(), whole);
    } finally {
      hub.allow(Infinity);
      await device.end();
    }
  });

  it("pauses when it is told to, and goes on", async () => {
    const device = await new Device("chromium").start();
    const tab = await Tab.open(device);
    hub.allow(SIZE / 2);
    await tab.tab.evaluate(
      (model, least) => {
        const pause = new AbortController();
        const onProgress = ({ stored }) => stored > least && pause.abort();
        self.paused = Phi.load({ model, backend: "cpu", signal: pause.signal, onProgress }).then(
          () => "loaded",
          ({ code }) => code,
        );
      },
      address(),
      SIZE / 4,
    );
    assert.equal(await tab.tab.evaluate(() => paused), "cancelled");
    await hub.idle();
    hub.allow(Infinity);
    const { sent } = hub;
    await tab.load({ model: address() });
    assert.ok(
      hub.sent - sent < SIZE - SIZE / 4 + HEADERS + UNDER_WAY,
      `${hub.sent - sent} bytes came after the pause`,
    );
    await tab.tab.evaluate(() => phi.unload());
    assert.deepEqual(await tab.files(), whole);
    await device.end();
  });

  it("starts over what changed on the server, and says so", async () => {
    const device = await new Device("chromium").start();
    const tab = await Tab.open(device);
    // The line breaks for good after a third of the file.
    const limit = hub.sent + SIZE / 3;
    hub.fault = (_request, response) => hub.sent > limit && Boolean(response.writeHead(403).end());
    await assert.rejects(tab.load({ model: address() }), { code: "network" });
    hub.fault = () => false;
    hub.tag = '"2"';
    const description = await tab.load({ model: address() });
    assert.match(description.notice, /changed since a part of it was kept/);
    assert.equal(await tab.ask(), answer);
    hub.tag = '"1"';
    await device.end();
  });

  it("says what is missing where there is no room, before anything comes", async () => {
    const QUOTA = SIZE / 2;
    const device = await new Device("chromium").start();
    const tab = await Tab.open(device);
    const session = await tab.tab.createCDPSession();
    await session.send("Storage.overrideQuotaForOrigin", {
      origin: new URL(site.address).origin,
      quotaSize: QUOTA,
    });
    const sent = hub.sent;
    await assert.rejects(tab.load({ model: address() }), (error) => {
      assert.equal(error.code, "storage-full", error.message);
      assert.ok(
        error.missing > 0.9 * (SIZE - QUOTA) && error.missing < SIZE,
        `${error.missing}: ${error.message}`,
      );
      assert.ok(error.message.includes(`(${error.missing} bytes) are missing`), error.message);
      return true;
    });
    assert.ok(hub.sent - sent < HEADERS + UNDER_WAY, `${hub.sent - sent} bytes were fetched`);
    await device.end();
  });
});
