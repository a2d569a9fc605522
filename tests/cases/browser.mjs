// One browser with a page of the packed package's origin, for as long as cases need it; and the
// app.

import { AppPage } from "../../web/tools/app-page.mjs";
import { launch, openTab } from "../../web/tools/browser.mjs";
import { serve, serveFolder } from "../../web/tools/serve.mjs";
import { packed } from "../browser/samples.mjs";

export class Browsers {
  #kind;
  #opened;
  #app;

  constructor(kind) {
    this.#kind = kind;
  }

  async close() {
    const opened = await this.#opened;
    await opened?.browser.close();
    opened?.site.close();
    const app = await this.#app;
    app?.site.server.closeAllConnections();
    app?.site.server.close();
  }

  /**
   * Loads a model of a folder and has the page ask it; `file` names it where it is not the folder,
   * all else is `Phi.load`'s.
   */
  async ask(folder, { file = "", ...options }, ask, given = null) {
    const { tab } = await this.#open();
    const models = await serveFolder(folder, { shared: true });
    try {
      const load = { storage: "none", backend: "cpu", ...options, model: models.address + file };
      return await tab.evaluate(
        `withPhi(${JSON.stringify(load)}, ${ask}, ${JSON.stringify(given)})`,
      );
    } catch (error) {
      throw new Error(error.message.split("\n")[0]);
    } finally {
      models.close();
    }
  }

  #open() {
    this.#opened ??= (async () => {
      const site = await serveFolder(packed().folder);
      const browser = await launch(this.#kind);
      const tab = await openTab(browser);
      await tab.goto(`${site.address}package.json`);
      await tab.evaluate(async () => {
        Object.assign(self, await import("/index.js"));
        self.withPhi = async (options, ask, given) => {
          const phi = await Phi.load(options);
          try {
            return await ask(phi, given);
          } finally {
            await phi.unload();
          }
        };
        /** What a promise rejects with, in a form that can leave the page. */
        self.refusal = (promise) =>
          promise.then(
            () => null,
            ({ code, message }) => ({ code, message }),
          );
      });
      return { site, browser, tab };
    })();
    return this.#opened;
  }

  /** The app, from a server that has no models. */
  app() {
    this.#app ??= (async () => {
      const { browser } = await this.#open();
      const site = await serve({ models: import.meta.dirname, isolated: false });
      return { site, page: await AppPage.open(browser, site.address) };
    })();
    return this.#app.then(({ page }) => page);
  }
}
