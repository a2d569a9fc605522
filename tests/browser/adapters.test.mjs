// Adapters that lack what helps, or refuse it, or refuse everything: the page answers with what is
// left, and as the reference does.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launch } from "../../web/tools/browser.mjs";
import { Page } from "../../web/tools/page.mjs";
import { makeRandomModel, RANDOM_ANSWERS, TINY } from "./random-model.mjs";
import { atStart, servePage, stopClock } from "./setting.mjs";

const [{ messages, answer }] = RANDOM_ANSWERS.tiny;

let site, browser;
before(
  async () =>
    ([site, browser] = await Promise.all([
      servePage({ model: makeRandomModel(TINY) }),
      launch("chromium"),
    ])),
);
after(async () => {
  await browser?.close();
  site?.close();
});

/** What WebGPU promises everywhere, in bytes. */
const SMALL_BUFFERS = { maxStorageBufferBindingSize: 128 << 20, maxBufferSize: 256 << 20 };

/** Has the worker's adapters be as a row says. No device has more than its adapter lists. */
function changeAdapters(worker, change) {
  return worker.evaluate(
    ({
      lacks = [],
      lists = [],
      refuses = [],
      limits = {},
      without = [],
      adapter = true,
      device = true,
    }) => {
      const { requestAdapter } = GPU.prototype;
      const { requestDevice } = GPUAdapter.prototype;
      const replace = (prototype, name, by) => {
        const { get } = Object.getOwnPropertyDescriptor(prototype, name);
        Object.defineProperty(prototype, name, {
          get() {
            return by(get.call(this));
          },
        });
      };
      const less = (all, names) => new Set([...all].filter((name) => !names.includes(name)));
      replace(GPUAdapter.prototype, "features", (all) => new Set([...less(all, lacks), ...lists]));
      replace(GPU.prototype, "wgslLanguageFeatures", (all) => less(all, without));
      replace(GPUAdapter.prototype, "limits", (all) => {
        const copy = {};
        for (const name in all) copy[name] = limits[name] ?? all[name];
        return copy;
      });
      GPU.prototype.requestAdapter = async function (options) {
        return adapter ? requestAdapter.call(this, options) : null;
      };
      self.refused = [];
      GPUAdapter.prototype.requestDevice = async function (descriptor) {
        const { requiredFeatures = [], requiredLimits = {} } = descriptor;
        const features = [...requiredFeatures].filter(
          (name) => refuses.includes(name) || !this.features.has(name),
        );
        const beyond = Object.keys(limits).filter((name) => requiredLimits[name] > limits[name]);
        if (!device) features.push("a device");
        if (features.length + beyond.length === 0) return requestDevice.call(this, descriptor);
        self.refused.push(...features, ...beyond);
        throw new TypeError(`refused: ${[...features, ...beyond]}`);
      };
    },
    change,
  );
}

/** What an adapter does; what is refused for it, in order; what computes then, and the notice. */
const CASES = [
  {
    adapter: "has nothing that WebGPU does not promise",
    change: {
      lacks: ["subgroups", "shader-f16"],
      without: ["packed_4x8_integer_dot_product"],
      limits: SMALL_BUFFERS,
    },
    refused: [],
    backend: /^GPU .*, f32, no integer dots, no subgroups$/,
  },
  {
    adapter: "lists half precision and subgroups and refuses both",
    change: { lists: ["shader-f16", "subgroups"], refuses: ["shader-f16", "subgroups"] },
    refused: ["shader-f16", "subgroups", "shader-f16", "subgroups"],
    backend: /^GPU .*, f32, integer dots, no subgroups$/,
  },
  {
    adapter: "refuses every device",
    change: { device: false },
    refused: ["a device", "a device"], // With subgroups, then without.
    backend: /^CPU, /,
    notice: /^The CPU answers: the GPU .* cannot be opened \(.*refused: a device/,
  },
  {
    adapter: "is not there",
    change: { adapter: false },
    refused: [],
    backend: /^CPU, /,
    notice: /^The CPU answers: there is no GPU to use: this browser offers none$/,
  },
];

describe("an adapter that", () => {
  for (const { adapter, change, refused, backend, notice } of CASES) {
    it(adapter, async () => {
      const page = await Page.open(browser, site.address, { model: site.model, softwareGpu: true });
      await atStart(page, (worker) =>
        Promise.all([stopClock(worker), changeAdapters(worker, change)]),
      );
      const said = await page.load();
      assert.deepEqual(await page.tab.workers()[0].evaluate(() => self.refused), refused);
      assert.match(said[2] ?? "", notice ?? /^$/);
      const { text, stats } = await page.ask(messages.at(-1).content);
      assert.match(stats.backend, backend);
      assert.equal(text, answer);
      await page.tab.close();
    });
  }
});
