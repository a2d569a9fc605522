// The app in the hand and on the desk: nothing is covered, cut, out of view or too small for a
// finger.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exported, file, importFile, OFFER, openApp, SKY } from "./app.mjs";

const VIEWPORTS = {
  phone: { width: 390, height: 844, hasTouch: true, isMobile: true },
  desktop: { width: 1280, height: 800 },
};
const SCREENS = ["welcome", "chat", "models", "settings", "privacy"];
const LONG = "A line of a question that goes on.\n".repeat(60);

for (const [shape, viewport] of Object.entries(VIEWPORTS)) {
  describe(`the app on a ${shape}`, () => {
    let page, close;
    before(async () => {
      ({ page, close } = await openApp("chromium without WebGPU"));
      await page.tab.setViewport(viewport);
    });
    after(() => close?.());

    /** Presses the pencil of the first question; where its field and the conversation are then. */
    async function edit() {
      await page.tab.$eval('article.user [data-action="edit"]', (button) => button.click());
      await page.tab.waitForSelector("article.user textarea:focus");
      // Two frames later everything that follows sizes has done so.
      const places = await page.tab.evaluate(async () => {
        for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
        const [form, scroller] = ["article.user form", ".scroller"].map((name) =>
          document.querySelector(name).getBoundingClientRect(),
        );
        const field = document.querySelector("article.user textarea");
        return {
          form: [form.top, form.bottom],
          scroller: [scroller.top, scroller.bottom],
          shown: field.clientHeight / field.scrollHeight,
          height: field.clientHeight,
        };
      });
      await page.tab.keyboard.press("Escape");
      await page.tab.waitForSelector('article.user [data-action="edit"]:focus');
      return places;
    }

    function assertInView({ form, scroller }) {
      assert.ok(
        form[0] >= scroller[0] && form[1] <= scroller[1],
        `the field is at ${form}, the conversation at ${scroller}`,
      );
    }

    /** What can be pressed now and is smaller than a finger. */
    function tooSmall() {
      return page.tab.evaluate(() => {
        const above = document.querySelector("dialog[open]") ?? document;
        const targets = [
          ...above.querySelectorAll("a[href], button, input, select, textarea, summary"),
        ].filter(
          (element) =>
            element.checkVisibility({ visibilityProperty: true }) &&
            !element.closest("[inert], .markdown a"),
        );
        // Who presses a label presses what it names.
        const sizes = targets.map((element) => [
          element,
          (
            (element.matches("[type=checkbox], [type=radio]") && element.closest("label")) ||
            element
          ).getBoundingClientRect(),
        ]);
        return sizes
          .filter(([, { width, height }]) => Math.min(width, height) < 44)
          .map(
            ([element, { width, height }]) =>
              `${element.outerHTML.slice(0, 80)} ${width}x${height}`,
          );
      });
    }

    it("scrolls no more than what is read", async () => {
      for (const screen of SCREENS) {
        await page.go(screen);
        if (screen === "welcome" && shape === "phone") assert.deepEqual(await tooSmall(), []);
        const [whole, seen] = await page.tab.evaluate(() => [
          document.scrollingElement.scrollHeight,
          document.scrollingElement.clientHeight,
        ]);
        assert.equal(whole, seen, screen);
      }
    });

    it("says what failed so that it looks like it, and covers nothing with that", async () => {
      const look = (name) =>
        page.tab.$eval(name, (toast) => ({
          covers: Math.max(
            0,
            toast.getBoundingClientRect().bottom -
              document.querySelector("main").getBoundingClientRect().top,
          ),
          role: toast.parentElement.role,
          colour: getComputedStyle(toast).backgroundColor,
        }));
      await page.told("imported", () =>
        importFile(
          page,
          file(`hand-${shape}.json`, exported("Long", LONG, "An answer.\n\n".repeat(30))),
        ),
      );
      const good = await look(".toast");
      assert.deepEqual({ ...good, colour: "" }, { covers: 0, role: "status", colour: "" });
      await page.told("holds no conversations", () => importFile(page, file("other.json", "{}")));
      const bad = await look(".toast.bad");
      assert.deepEqual({ ...bad, colour: "" }, { covers: 0, role: "alert", colour: "" });
      assert.notEqual(bad.colour, good.colour);
      await page.tab.click(".toast .icon");
      await page.tab.waitForSelector(".toast.bad", { hidden: true });
    });

    it("tells the same once, and no more at a time than leaves room to write", async (test) => {
      await page.reload();
      test.after(() => page.reload());
      // None of them goes by itself.
      await page.tab.evaluate(() => {
        const after = setTimeout;
        globalThis.setTimeout = (act, time, ...more) =>
          time < 4000 ? after(act, time, ...more) : 0;
      });
      const initials = () =>
        page.tab.$$eval(".toast", (toasts) =>
          toasts.map(({ textContent }) => textContent.trim()[0]),
        );
      const bad = ["1", "2", "3", "4"].map((name) => file(name.repeat(240), "\0"));
      await page.go("chat");
      const attach = (...paths) => page.choose('[aria-label="Attach a text file"]', ...paths);
      const told = (initial) =>
        page.tab.waitForFunction(
          (initial) =>
            [...document.querySelectorAll(".toast")].at(-1)?.textContent.trim().startsWith(initial),
          {},
          initial,
        );
      await attach(bad[0], bad[0], bad[1]);
      await told("2");
      assert.deepEqual(await initials(), ["1", "2"]);
      await attach(bad[0]);
      await told("1");
      assert.deepEqual(await initials(), ["2", "1"]);
      await page.told("imported", () =>
        importFile(page, file(`well-${shape}.json`, exported("Well", "Question", "Answer"))),
      );
      await page.go("chat");
      await attach(bad[2]);
      await told("3");
      assert.deepEqual(await initials(), ["2", "1", "3"]);
      await attach(bad[3]);
      await told("4");
      assert.deepEqual(await initials(), ["1", "3", "4"]);
      const [toasts, composer] = await page.tab.evaluate(() =>
        [".toasts", "#composer"].map((name) =>
          document.querySelector(name).getBoundingClientRect().toJSON(),
        ),
      );
      assert.ok(
        toasts.bottom <= composer.top && composer.bottom <= viewport.height,
        `${toasts.bottom}, ${composer.top}, ${composer.bottom}`,
      );
    });

    it("opens a question for editing in view, with all of its words that find room", async () => {
      await page.openChat("Long");
      await page.tab.waitForSelector(".markdown:not(.unread)");
      // The pencil is at the end of a question that begins above.
      await page.tab.$eval('article.user [data-action="edit"]', (button) =>
        button.scrollIntoView({ block: "center" }),
      );
      const places = await edit();
      assertInView(places);
      assert.ok(
        places.height > 0.5 * (places.scroller[1] - places.scroller[0]),
        `${places.height} of ${places.scroller}`,
      );
    });

    it("names the model beside a title, and shows all of an answer's figures", async () => {
      await page.go("welcome");
      await page.load(OFFER);
      await page.setUp({ preset: "precise" });
      await page.ask(SKY.question);
      const cut = await page.tab.evaluate(() => {
        const isCut = (element) =>
          element.scrollWidth > element.clientWidth ||
          element.getBoundingClientRect().right > innerWidth;
        return ["a.model .name", "a.model .device", "article.assistant .about"].filter(
          (name) =>
            isCut(document.querySelector(name)) || !document.querySelector(name).textContent,
        );
      });
      assert.deepEqual(cut, []);
      assert.match(
        await page.tab.$eval("a.model", (link) => link.innerText.replace(/\s+/g, " ")),
        /SmolLM2 135M (· )?CPU/,
      );
      assert.match(
        await page.tab.$eval("article.assistant .about", ({ textContent }) => textContent),
        /^SmolLM2 135M · \d+ tokens · .* tokens\/s · CPU/,
      );
    });

    it("opens a question for editing in view where the conversation's end is, too", async () => {
      const places = await edit();
      assertInView(places);
      assert.equal(places.shown, 1);
    });

    if (shape === "phone") {
      it("has nothing to press that is smaller than a finger", async () => {
        const small = {};
        const look = async (name) => {
          const found = await tooSmall();
          if (found.length > 0) small[name] = found;
        };
        await importFile(
          page,
          file("code.json", exported("Code", "Show me code", "```js\nx\n```\n\nCut.", "stopped")),
        );
        // Once a model is loaded, the welcome is over.
        for (const screen of SCREENS.slice(1)) {
          await page.go(screen);
          await look(screen);
        }
        await page.openChat("Code");
        await page.tab.waitForSelector("article.assistant .code");
        await look("a conversation");
        await page.tab.click("#options");
        await page.tab.waitForSelector("dialog[open]");
        await page.tab.$eval("dialog[open] details", (details) => (details.open = true));
        await look("options");
        await page.tab.keyboard.press("Escape");
        await page.tab.waitForSelector("dialog[open]", { hidden: true });
        await page.paste("#question", "Many words, all alike, one after the other. ".repeat(2000));
        await page.tab.waitForSelector(".too-long");
        await look("a document that is too long");
        await page.clearDraft();
        await page.tab.click("#menu");
        await page.tab.waitForSelector("aside.drawer");
        await look("the drawer");
        await page.told("deleted", () => page.menu("Code", "Delete"));
        await look("a word at the edge");
        await page.tab.$eval("nav [popovertarget]", (button) => button.click());
        await page.tab.waitForSelector(":popover-open");
        await look("a menu");
        assert.deepEqual(small, {});
      });
    }

    it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
  });
}
