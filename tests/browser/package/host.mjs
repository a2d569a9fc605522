// What tests of the package's API share: a page of the packed package's origin, and a tiny model beside it.

import { launch } from "../../../web/tools/browser.mjs";
import { serveFolder } from "../../../web/tools/serve.mjs";
import { packed } from "../samples.mjs";
import { makeTinyModel } from "../tiny.mjs";

/** A server of the package, a browser, and a tiny model: the folder that it lies in, and its address, of another origin. */
export async function openHost() {
  const model = makeTinyModel();
  const [site, models, browser] = await Promise.all([
    serveFolder(packed().folder),
    serveFolder(model.folder, { shared: true }),
    launch("chromium without WebGPU"),
  ]);
  const close = async () => {
    await browser.close();
    for (const open of [site, models]) open.close();
    model.remove();
  };
  return { folder: model.folder, tiny: models.address, openTab: () => openTab(browser, site), close };
}

/** A page of the package's origin, whichever, with the package's exports as globals. */
async function openTab(browser, site) {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(120_000);
  await tab.goto(`${site.address}package.json`);
  await tab.evaluate(async () => {
    Object.assign(self, await import("/index.js"));
    /** What a promise rejects with, in a form that can leave the page. */
    self.failure = (promise) => promise.then(
      () => null,
      (error) => ({ name: error.name, code: error.code, message: error.message, isPhi: error instanceof PhiError }),
    );
    self.all = async (pieces) => {
      const list = [];
      for await (const piece of await pieces) list.push(piece);
      return list;
    };
  });
  return tab;
}
