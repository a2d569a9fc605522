// What tests of the package's API share: a page of the packed package's origin, and small models
// beside it.

import { launch, openTab } from "../../../web/tools/browser.mjs";
import { serveFolder } from "../../../web/tools/serve.mjs";
import { makeGoldenModel } from "../golden.mjs";
import { packed } from "../samples.mjs";
import { makeTinyModel } from "../tiny.mjs";

/**
 * A server of the package, a browser, and two models of other origins: their addresses, and the
 * folder that the tiny one lies in.
 */
export async function openHost({ isolated = false } = {}) {
  const models = [makeTinyModel(), makeGoldenModel()];
  const [site, browser, ...served] = await Promise.all([
    serveFolder(packed().folder, { isolated }),
    launch("chromium without WebGPU"),
    ...models.map(({ folder }) => serveFolder(folder, { shared: true })),
  ]);
  const close = async () => {
    await browser.close();
    for (const open of [site, ...served]) open.close();
    for (const model of models) model.remove();
  };
  const [tiny, golden] = served.map(({ address }) => address);
  return { folder: models[0].folder, tiny, golden, openTab: () => openPage(browser, site), close };
}

/** A page of the package's origin, whichever, with the package's exports as globals. */
async function openPage(browser, site) {
  const tab = await openTab(browser);
  await tab.goto(`${site.address}package.json`);
  await tab.evaluate(async () => {
    Object.assign(self, await import("/index.js"));
    /** What a promise rejects with, in a form that can leave the page. */
    self.failure = (promise) =>
      promise.then(
        () => null,
        (error) => ({
          name: error.name,
          code: error.code,
          message: error.message,
          isPhi: error instanceof PhiError,
        }),
      );
    self.all = async (pieces) => {
      const list = [];
      for await (const piece of await pieces) list.push(piece);
      return list;
    };
  });
  return tab;
}

/** A folder's server for as long as a test runs, however that ends. */
export async function serveDuring(test, folder, options) {
  const site = await serveFolder(folder, options);
  test.after(() => site.close());
  return site;
}
