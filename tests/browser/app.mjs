// What the tests of the chat app share: the app in a browser, files for it to take in, texts as
// they are shown.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after } from "node:test";
import { AppPage } from "../../web/tools/app-page.mjs";
import { launch } from "../../web/tools/browser.mjs";
import { serve } from "../../web/tools/serve.mjs";
import { makeRandomModel, RANDOM_ANSWERS, SMALL } from "./random-model.mjs";
import { MODEL } from "./setting.mjs";

/**
 * The small model that the app offers. In its place its tests have one with random weights, which
 * comes and answers sooner.
 */
export const OFFER = "smollm2-135m";
export const STAND_IN = makeRandomModel(SMALL, basename(MODEL));
/**
 * Two questions with their answers, the second with instructions, and one whose answer takes longer
 * than a test.
 */
export const [SKY, POEM, ENDLESS] = RANDOM_ANSWERS.small.map(({ messages, answer }) => ({
  instructions: messages.find(({ role }) => role === "system")?.content,
  question: messages.at(-1).content,
  answer: answer.trim(),
}));

/** What a model might say to have the page talk to strangers. */
export const HOSTILE = [
  "A picture: ![of a cat](https://pictures.invalid/cat.png?secret=1)",
  '<img src="https://pictures.invalid/raw.png" onerror="document.title = \'owned\'">',
  "<script>document.title = 'owned'</script>",
  "[a link](javascript:document.title='owned') and [another](https://pictures.invalid/page)",
  '<iframe src="https://pictures.invalid/frame"></iframe>',
  "```js\nconst x = 1; // <b>not bold</b>\n```",
].join("\n\n");

/** A file as the app exports it, with one conversation. */
export function exported(title, question, answer, state = "done") {
  const common = { conversation: "c", attachments: [], created: 1 };
  return {
    format: "phi-wasm-chats",
    version: 1,
    exported: new Date(0).toISOString(),
    conversations: [
      {
        id: "c",
        title,
        created: 1,
        updated: Date.now(),
        instructions: "",
        style: {
          preset: "precise",
          temperature: 0,
          topP: 1,
          minP: 0,
          repetitionPenalty: 1,
          longest: 1024,
        },
        chosen: {},
        messages: [
          { ...common, id: "q", parent: null, role: "user", content: question, state: "done" },
          {
            ...common,
            id: "a",
            parent: "q",
            role: "assistant",
            content: answer,
            state,
            created: 2,
          },
        ],
      },
    ],
  };
}

export const text = ({ text }) => text.trim();
/** Shown paragraphs have other blanks between them than Markdown's. */
export const inOneLine = (text) => text.trim().split(/\s+/).join(" ");

/** For files that a test writes. */
export const folder = mkdtempSync(join(tmpdir(), "phi-app-"));
after(() => rmSync(folder, { recursive: true }));

/** A new conversation, without chance, and its first answer. */
export async function askAnew(page, { instructions, question }) {
  await page.go("chat");
  await page.setUp({ preset: "precise", instructions });
  return page.ask(question);
}

/** The app in a browser of its own, from a server of its own; `from` is what that takes. */
export async function openApp(kind, more, from = { models: dirname(STAND_IN) }) {
  const site = await serve(from);
  let browser;
  const close = async () => {
    await browser?.close();
    site.server.closeAllConnections();
    site.server.close();
  };
  try {
    browser = await launch(kind, more);
    return { site, page: await AppPage.open(browser, site.address), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The path of a file with this content. */
export function file(name, content) {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** Gives a file to the app's import. */
export async function importFile(page, path) {
  await page.go("settings");
  await page.choose("#import", path);
}
