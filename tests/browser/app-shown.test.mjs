// How messages are shown, on a phone and on a computer: tables, task lists, formulas, and writing
// from right to left.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exported, file, importFile, openApp } from "./app.mjs";

const VIEWPORTS = {
  phone: { width: 390, height: 844, hasTouch: true, isMobile: true },
  desktop: { width: 1280, height: 800 },
};

const COLUMNS = [
  "Name",
  "Year",
  "Paradigms",
  "Typing discipline",
  "Garbage collection",
  "Standardisation",
  "Implementation",
  "Documentation",
];
const CELLS = [
  "JavaScript",
  "1995",
  "prototypes",
  "dynamically typed",
  "incremental",
  "international",
  "interpretation",
  "comprehensive",
];
const row = (cells) => `| ${cells.join(" | ")} |`;
const TABLE = [
  row(COLUMNS),
  row([":---", ":---:", "---:", ...COLUMNS.slice(3).map(() => "---")]),
  row(CELLS),
].join("\n");

const TASKS =
  "- [ ] to do\n- [x] done\n- neither\n\n1. [ ] first\n\n- [x] with room\n\n- [ ] around it";

const INLINE = String.raw`\(a_1 + b_1 = \frac{x_{2}}{y}\)`;
const DISPLAY = String.raw`\[
\int_0^1 x\,dx
= 1
- \frac{1}{2}
\]`;
const DOLLARS = String.raw`$$\begin{aligned} f(x) &= ax^2 \\ &= b \end{aligned}$$`;
const FORMULAS =
  `First ${INLINE} then\n${DISPLAY}\n\n${DOLLARS}\n\n- In a list: $$e^{i\\pi}$$ and **bold ` +
  "\\(a*b*c\\) too**";
const DEEP = `\\(${"\\sqrt{".repeat(110)}x${"}".repeat(110)}\\)`;
/** What is no formula: money, escapes, code, what never ends, and what no one can set. */
const PLAIN = [
  "It costs $5, or $6 with tax_a and tax_b; all of $$$, and a*b*c.",
  "Escaped: \\\\(x\\\\) \\*",
  "Code: `\\(x\\)`",
  "Open \\(x and \\[y",
  "$$ is no sign of an end\n- a point",
  "\\(\\notacommand{x}\\)",
  "\\[\n\nan empty line\n\n\\]",
  DEEP,
].join("\n\n");

const SUM = `${Array.from({ length: 60 }, (_, index) => `x_{${index}}`).join(" + ")} = y`;

const MESSAGES = {
  Table: ["Make a table", TABLE],
  Tasks: ["Make a list", TASKS],
  Formulas: ["Compute", FORMULAS],
  Plain: ["What is it?", PLAIN],
  Wide: [
    "A long one",
    `Within a line \\(${SUM}\\) and\n\n\\[ ${SUM} \\]\n\n\\[ ${"x".repeat(200)} \\]`,
  ],
  Hebrew: [
    "שלום, מה שלומך?",
    "# כותרת\n\nשלום עולם, this is English.\n\n1. ראשון\n2. שני\n\n> ציטוט\n\nAn English " +
      "paragraph with שלום.\n\n`code` ואז מילים\n\n\\(x\\) ואז עוד\n\n```js\n// הערה\n```\n\n| " +
      "שם | שנה |\n|---|---|\n| א | 1 |",
  ],
};

for (const [shape, viewport] of Object.entries(VIEWPORTS)) {
  describe(`a message on a ${shape}`, () => {
    let page, close;
    before(async () => {
      ({ page, close } = await openApp("chromium without WebGPU"));
      await page.tab.setViewport(viewport);
      const all = Object.entries(MESSAGES).map(([title, [question, answer]]) =>
        exported(title, question, answer),
      );
      await importFile(
        page,
        file(`shown-${shape}.json`, {
          ...all[0],
          conversations: all.flatMap(({ conversations }) => conversations),
        }),
      );
      await page.tab.waitForFunction(
        (count) => indexedDB && document.querySelector(".toast")?.textContent.includes(count),
        {},
        all.length,
      );
    });
    after(() => close?.());

    async function show(title) {
      await page.openChat(title);
      return page.tab.waitForSelector("article.assistant .markdown:not(.unread)");
    }

    const isWide = () =>
      page.tab.evaluate(() =>
        [document.scrollingElement, document.querySelector(".scroller")].some(
          (it) => it.scrollWidth > it.clientWidth,
        ),
      );

    it("breaks no word in a table, aligns columns, and scrolls what is too wide", async () => {
      const shown = await show("Table");
      const table = await shown.evaluate((markdown) => {
        const broken = [];
        for (const cell of markdown.querySelectorAll("th, td")) {
          const text = cell.firstChild;
          for (const { 0: word, index } of text.data.matchAll(/\S+/g)) {
            const range = document.createRange();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            if (range.getClientRects().length > 1) broken.push(word);
          }
        }
        const scroller = markdown.querySelector(".table");
        return {
          broken,
          alignment: [...markdown.querySelectorAll("td")]
            .slice(0, 4)
            .map((cell) => getComputedStyle(cell).textAlign),
          scrolls:
            scroller.scrollWidth > scroller.clientWidth &&
            getComputedStyle(scroller).overflowX === "auto",
        };
      });
      assert.deepEqual(table, {
        broken: [],
        alignment: ["left", "center", "right", "start"],
        scrolls: true,
      });
      assert.equal(await isWide(), false);
    });

    it("has a box in a task's place for the bullet, and bullets elsewhere", async () => {
      const shown = await show("Tasks");
      const items = await shown.evaluate((markdown) =>
        [...markdown.querySelectorAll("li")].map((item) => [
          item.textContent.trim().replace(/\s+/g, " "),
          getComputedStyle(item).listStyleType,
        ]),
      );
      assert.deepEqual(items, [
        ["☐ to do", "none"],
        ["☑ done", "none"],
        ["neither", "disc"],
        ["☐ first", "none"],
        ["☑ with room", "none"],
        ["☐ around it", "none"],
      ]);
    });

    it("sets formulas, and no money", async () => {
      const shown = await show("Formulas");
      await page.tab.waitForFunction(
        () => document.querySelectorAll("article.assistant math").length === 5,
      );
      const found = await shown.evaluate((markdown) =>
        [...markdown.querySelectorAll("math")].map((math) => ({
          source: math.closest("[data-source]").dataset.source,
          display: math.getAttribute("display"),
          fractions: math.querySelectorAll("mfrac").length,
        })),
      );
      assert.deepEqual(found, [
        { source: INLINE, display: null, fractions: 1 },
        { source: DISPLAY, display: "block", fractions: 1 },
        { source: DOLLARS, display: "block", fractions: 0 },
        { source: "$$e^{i\\pi}$$", display: null, fractions: 0 },
        { source: "\\(a*b*c\\)", display: null, fractions: 0 },
      ]);
      assert.equal(
        await shown.evaluate((markdown) => markdown.querySelector("strong").firstChild.data),
        "bold ",
      );
      assert.equal(await isWide(), false);
      const plain = await show("Plain");
      const text = await plain.evaluate((markdown) =>
        markdown.innerText.replace(/\s*\n\s*/g, "\n"),
      );
      assert.equal(
        text,
        [
          "It costs $5, or $6 with tax_a and tax_b; all of $$$, and abc.",
          "Escaped: \\(x\\) *",
          "Code: \\(x\\)",
          "Open (x and [y",
          "$$ is no sign of an end",
          "a point",
          "\\(\\notacommand{x}\\)",
          "[",
          "an empty line",
          "]",
          DEEP,
        ].join("\n"),
      );
      assert.equal(await plain.evaluate((markdown) => markdown.querySelectorAll("math").length), 0);
    });

    it("breaks a long formula where it can, and scrolls it where it cannot", async () => {
      const shown = await show("Wide");
      await page.tab.waitForFunction(
        () => document.querySelectorAll("article.assistant .formula[data-source]").length === 3,
      );
      assert.equal(await isWide(), false);
      const { cut, scroll } = await shown.evaluate((markdown) => {
        const { right } = markdown.getBoundingClientRect();
        const [inLine, ...alone] = markdown.querySelectorAll(".formula");
        return {
          cut: [...inLine.querySelectorAll("mi")].filter(
            (letter) => letter.getBoundingClientRect().right > right,
          ).length,
          scroll: alone.map(
            (formula) =>
              formula.scrollWidth > formula.clientWidth && getComputedStyle(formula).overflowX,
          ),
        };
      });
      assert.deepEqual({ cut, scroll }, { cut: 0, scroll: ["auto", "auto"] });
    });

    it("is copied with formulas as they were written", async () => {
      await show("Formulas");
      await page.tab.waitForFunction(
        () => document.querySelectorAll("article.assistant math").length === 5,
      );
      const copied = await page.tab.evaluate(() => {
        const [first, second] = document.querySelectorAll("article.assistant math");
        // From within the first formula to within the second.
        getSelection().setBaseAndExtent(
          first.querySelector("mi").firstChild,
          1,
          second.querySelector("mi").firstChild,
          0,
        );
        const clipboardData = new DataTransfer();
        const event = new ClipboardEvent("copy", {
          bubbles: true,
          cancelable: true,
          clipboardData,
        });
        first.dispatchEvent(event);
        return {
          text: clipboardData.getData("text/plain"),
          prevented: event.defaultPrevented,
          left: document.querySelectorAll(".copied").length,
        };
      });
      assert.deepEqual(
        { ...copied, text: copied.text.replace(/\s+/g, " ").trim() },
        { text: `${INLINE} then ${DISPLAY.replace(/\s+/g, " ")}`, prevented: true, left: 0 },
      );
    });

    it("is written from the side that its words are written from", async () => {
      const shown = await show("Hebrew");
      await page.tab.waitForSelector("article.assistant .code");
      const directions = await shown.evaluate((markdown) =>
        [
          "h3",
          "p",
          "ol",
          "blockquote",
          "p:nth-of-type(2)",
          "p:nth-of-type(3)",
          "p:nth-of-type(4)",
          ".code pre",
          ".table",
        ].map((name) => getComputedStyle(markdown.querySelector(name)).direction),
      );
      assert.deepEqual(directions, ["rtl", "rtl", "rtl", "rtl", "ltr", "rtl", "rtl", "ltr", "rtl"]);
      assert.equal(
        await page.tab.$eval(".bubble", (bubble) => getComputedStyle(bubble).direction),
        "rtl",
      );
      for (const text of ["שלום", "Hello"]) {
        await page.tab.type("#question", text);
        assert.equal(
          await page.tab.$eval("#question", (field) => getComputedStyle(field).direction),
          text === "Hello" ? "ltr" : "rtl",
        );
        await page.clearDraft();
      }
    });

    it("is at its end what it is when it comes whole", async () => {
      await show("Table");
      const texts = Object.values(MESSAGES).map(([, answer]) => answer);
      const different = await page.tab.evaluate(async (texts) => {
        const script = performance
          .getEntriesByType("resource")
          .find(({ name }) => /stream-[^/]*\.js$/.test(name));
        const [MarkdownStream] = Object.values(await import(script.name));
        const stream = () => new MarkdownStream(document.createElement("div"), { frame() {} });
        return texts.filter((text) => {
          const [whole, growing] = [stream(), stream()];
          whole.update(text, true);
          for (let length = 1; length < text.length; length += 4)
            growing.update(text.slice(0, length), false);
          growing.update(text, true);
          return growing.container.innerHTML !== whole.container.innerHTML;
        });
      }, texts);
      assert.deepEqual(different, []);
    });

    it("leaves the browser without complaints", () => assert.deepEqual(page.complaints, []));
  });
}
