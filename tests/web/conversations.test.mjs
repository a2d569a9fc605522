// Conversations: files of them that are taken in or refused, what is mended, which branch is shown,
// what a model is asked.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  fileName,
  fromJson,
  ImportError,
  toJson,
  toMarkdown,
} from "../../web/app/data/exchange.ts";
import { contactOf, conversationOf, draftOf, messageOf } from "../../web/app/data/known.ts";
import { contentOf, fit, promptRoom } from "../../web/app/data/prompt.ts";
import { neighbour, shownPath } from "../../web/app/data/tree.ts";
import { Unwritten } from "../../web/app/data/unwritten.ts";

const STYLE = {
  preset: "precise",
  temperature: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  longest: 1024,
};
const CONVERSATION = {
  id: "c",
  title: "Title",
  created: 1,
  updated: 2,
  instructions: "",
  style: STYLE,
  chosen: {},
};
const QUESTION = {
  id: "q",
  conversation: "c",
  parent: null,
  role: "user",
  content: "Question",
  attachments: [],
  created: 1,
  state: "done",
};
const ANSWER = {
  ...QUESTION,
  id: "a",
  parent: "q",
  role: "assistant",
  content: "Answer",
  created: 2,
};

/** A file of one conversation, well-formed but for what is said. */
function exported({ conversation = {}, question = {}, answer = {}, more = [] } = {}) {
  const messages = [{ ...QUESTION, ...question }, { ...ANSWER, ...answer }, ...more];
  return {
    format: "phi-wasm-chats",
    version: 1,
    conversations: [{ ...CONVERSATION, messages, ...conversation }],
  };
}

const attached = (...ids) => ids.map((id) => ({ id, name: "a.txt", text: "1" }));

/** Files that are refused, and why. */
const BROKEN = {
  "what is no JSON": ["not-json", "{"],
  "nothing of ours": ["not-ours", {}],
  nothing: ["not-ours", null],
  "a later version's": ["newer", { ...exported(), version: 2 }],
  "a version that is none": ["newer", { ...exported(), version: "1" }],
  "a date that is none": ["broken", exported({ conversation: { updated: -9e15 } })],
  "a date in words": ["broken", exported({ conversation: { created: "long ago" } })],
  "no conversation in a conversation's place": ["broken", { ...exported(), conversations: [null] }],
  "no messages": ["broken", exported({ conversation: { messages: undefined } })],
  "no message in a message's place": ["broken", exported({ more: [null] })],
  "messages of one id": ["broken", exported({ more: [{ ...QUESTION, content: "Another" }] })],
  "a message that comes after itself": ["broken", exported({ question: { id: "root" } })],
  "a message of nobody": ["broken", exported({ question: { role: "system" } })],
  "a message without a place": ["broken", exported({ question: { parent: 1 } })],
  "attachments of one id": ["broken", exported({ question: { attachments: attached("z", "z") } })],
  "attachments without ids": [
    "broken",
    exported({ question: { attachments: attached(undefined) } }),
  ],
  "notes that are no list": ["broken", exported({ answer: { notes: { length: 1e8 } } })],
  "more notes than there can be": [
    "broken",
    exported({ answer: { notes: Array(1001).fill("n") } }),
  ],
  "a title as long as a book": [
    "broken",
    exported({ conversation: { title: "t".repeat(10_001) } }),
  ],
  "a style that no engine takes": [
    "broken",
    exported({ conversation: { style: { ...STYLE, topP: 99 } } }),
  ],
  "a style of no name": [
    "broken",
    exported({ conversation: { style: { ...STYLE, preset: "nope" } } }),
  ],
  "figures that are none": ["broken", exported({ answer: { figures: { tokens: "many" } } })],
  "choices that are none": [
    "broken",
    exported({ conversation: { chosen: { root: { length: 1e8 } } } }),
  ],
};

describe("a file of conversations", () => {
  for (const [what, [reason, content]] of Object.entries(BROKEN)) {
    it(`is refused as ${reason} for ${what}`, () => {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      assert.throws(
        () => fromJson(text),
        (error) => error instanceof ImportError && error.reason === reason,
      );
    });
  }

  it("comes back under ids of its own, with its branches", () => {
    const again = {
      ...ANSWER,
      id: "b",
      content: "Another",
      created: 3,
      notes: ["n", "n"],
      model: "m",
    };
    const given = {
      conversation: { ...CONVERSATION, chosen: { root: "q", q: "a", gone: "a" } },
      messages: [QUESTION, ANSWER, again],
    };
    const {
      conversations: [conversation],
      messages,
    } = fromJson(toJson([given]));
    const [question, answer, other] = messages;
    assert.equal(new Set([conversation, ...messages].map(({ id }) => id)).size, 4);
    assert.ok(![conversation, ...messages].some(({ id }) => ["c", "q", "a", "b"].includes(id)));
    assert.deepEqual(conversation, {
      ...CONVERSATION,
      id: conversation.id,
      chosen: { root: question.id, [question.id]: answer.id },
    });
    assert.deepEqual(other, {
      ...again,
      id: other.id,
      conversation: conversation.id,
      parent: question.id,
      notes: ["n"],
    });
  });

  it("is built of the fields that are known, and of messages that a beginning leads to", () => {
    const more = [
      { ...QUESTION, id: "lost", parent: "nowhere" },
      { ...QUESTION, id: "around", parent: "around" },
    ];
    const file = exported({ conversation: { secret: 1, deleted: 5 }, answer: { extra: {} }, more });
    const {
      conversations: [conversation],
      messages,
    } = fromJson(JSON.stringify(file));
    assert.deepEqual(Object.keys(conversation).sort(), Object.keys(CONVERSATION).sort());
    assert.deepEqual(
      messages.map(({ content }) => content),
      ["Question", "Answer"],
    );
    for (const message of messages)
      assert.deepEqual(Object.keys(message).sort(), Object.keys(QUESTION).sort());
  });

  it("belongs to nobody else's conversation", () => {
    const {
      conversations: [{ id }],
      messages,
    } = fromJson(JSON.stringify(exported({ question: { conversation: "other" } })));
    assert.ok(messages.every(({ conversation }) => conversation === id));
  });

  it("is a document of the branch that is shown", () => {
    const question = { ...QUESTION, attachments: attached("z") };
    const other = { ...ANSWER, id: "b", content: " Another \n", created: 3 };
    const text = toMarkdown(
      { ...CONVERSATION, instructions: "Be\nbrief" },
      [question, ANSWER, other],
      { user: "You", assistant: "Phi" },
    );
    assert.equal(
      text,
      "# Title\n\n> Be\n> brief\n\n## You\n\n*a.txt*\n\nQuestion\n\n## Phi\n\nAnother\n",
    );
  });

  for (const [title, name] of [
    ["A title", "A title.md"],
    ['a/b\\c:d*e?"f"<g>|h', "a b c d e f g h.md"],
    ["a\n\tb\u0000", "a b.md"],
    ["", "phi.md"],
    ["???", "phi.md"],
    ["😀".repeat(70), `${"😀".repeat(60)}.md`],
  ]) {
    it(`is called ${JSON.stringify(name)} for ${JSON.stringify(title)}`, () =>
      assert.equal(fileName(title, "md"), name));
  }
});

describe("what lies in the database", () => {
  it("is mended, whatever it is", () => {
    const bare = conversationOf({ id: "c" });
    assert.deepEqual(bare, {
      ...CONVERSATION,
      title: "",
      created: 0,
      updated: 0,
      style: { ...STYLE, preset: "own" },
    });
    const wild = { preset: "nope", temperature: -5, topP: 99, minP: Number.NaN, longest: 1e300 };
    const { style, updated } = conversationOf({ ...CONVERSATION, updated: Infinity, style: wild });
    assert.deepEqual(style, {
      preset: "own",
      temperature: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      longest: 1_000_000,
    });
    assert.equal(updated, 8.64e15);
    const { notes, figures, attachments } = messageOf({
      ...ANSWER,
      notes: { length: 1e8 },
      figures: 7,
      attachments: [...attached("z", "z"), null],
    });
    assert.deepEqual([notes, figures.tokens, attachments.length], [[], 0, 3]);
    assert.equal(new Set(attachments.map(({ id }) => id)).size, 3);
    assert.deepEqual(draftOf({ conversation: "", text: 5, attachments: null }), {
      conversation: "",
      text: "",
      attachments: [],
    });
    assert.deepEqual(contactOf({ host: "h", requests: -1, last: "x" }), {
      host: "h",
      requests: 0,
      last: 0,
    });
  });

  it("is nothing where nothing can be made of it", () => {
    for (const value of [null, [], "c", {}, { id: 1 }, { id: "" }]) {
      assert.equal(conversationOf(value), undefined);
      assert.equal(messageOf(value), undefined);
    }
    for (const wrong of [{ id: "root" }, { parent: 1 }, { role: "system" }, { conversation: 1 }])
      assert.equal(messageOf({ ...QUESTION, ...wrong }), undefined);
    assert.equal(draftOf({}), undefined);
    assert.equal(contactOf({}), undefined);
  });
});

describe("what is not written yet", () => {
  const put = (content) => ({ store: "messages", put: { ...QUESTION, content } });

  it("is seen as if it were, the last of each", () => {
    const unwritten = new Unwritten();
    unwritten.add([put("one"), { store: "messages", remove: "a" }]);
    unwritten.add([put("two"), { store: "conversations", put: CONVERSATION }]);
    assert.deepEqual(
      unwritten.over("messages", [QUESTION, ANSWER]).map(({ content }) => content),
      ["two"],
    );
    assert.deepEqual(unwritten.over("conversations", []), [CONVERSATION]);
  });

  it("is what was changed again meanwhile", () => {
    const unwritten = new Unwritten();
    unwritten.add([put("one")]);
    const writing = unwritten.all;
    unwritten.add([put("two")]);
    unwritten.written(writing);
    assert.deepEqual(unwritten.all, [put("two")]);
    unwritten.written(unwritten.all);
    assert.deepEqual(unwritten.all, []);
  });
});

describe("the branch that is shown", () => {
  const again = { ...ANSWER, id: "b", created: 3 };
  const ids = (path) => path.map(({ message }) => message.id);

  it("is the latest, or the one that was chosen", () => {
    const messages = [again, ANSWER, QUESTION];
    assert.deepEqual(ids(shownPath(messages, {})), ["q", "b"]);
    assert.deepEqual(ids(shownPath(messages, { q: "a" })), ["q", "a"]);
    assert.deepEqual(ids(shownPath(messages, { q: "gone" })), ["q", "b"]);
    assert.deepEqual(shownPath([], {}), []);
  });

  it("has neighbours in the order in which they were written", () => {
    const [, place] = shownPath([again, ANSWER, QUESTION], { q: "a" });
    assert.deepEqual([neighbour(place, 1)?.id, neighbour(place, -1)], ["b", undefined]);
  });

  it("leaves out what nothing leads to, and ends", () => {
    const around = { ...QUESTION, id: "around", parent: "around" };
    assert.deepEqual(ids(shownPath([QUESTION, around], {})), ["q"]);
  });
});

describe("what a model is asked", () => {
  const turn = (index, words = 10) => ({
    role: index % 2 ? "assistant" : "user",
    content: `${index} `.repeat(words),
  });
  const turns = (count) => Array.from({ length: count }, (_, index) => turn(index));
  const count = async (text) => text.trim().split(" ").length;
  const none = () => assert.fail("nothing needs to be counted");

  it("is a message with its documents before it", () => {
    const content = contentOf({
      content: "What?",
      attachments: [{ name: 'a"b.txt', text: "text" }],
    });
    assert.equal(content, `<document name="a'b.txt">\ntext\n</document>\n\nWhat?`);
  });

  it("has at least half of the context", () => {
    assert.deepEqual([promptRoom(4096, 1024), promptRoom(1024, 1024)], [3072, 512]);
  });

  it("is all of a conversation that has room, without counting", async () => {
    const { turns: asked, left } = await fit("Be brief", turns(3), 1000, none);
    assert.deepEqual(
      [asked.map(({ role }) => role), left],
      [["system", "user", "assistant", "user"], 0],
    );
  });

  // Each turn is 18 tokens with what the template puts around it.
  for (const [what, given, room, left] of [
    ["leaves out nothing that has room when it is counted", turns(11), 11 * 18, 0],
    ["leaves out old turns, some at a time", turns(11), 10 * 18, 4],
    ["leaves out no more than it has to", turns(11), 5 * 18, 8],
    ["begins with the user", [turn(0), ...turns(11)], 10 * 18, 5],
    ["is the question at least", turns(11), 10, 10],
    ["is the question and the beginning of its answer", turns(12), 10, 10],
  ]) {
    it(what, async () => {
      const found = await fit("", given, room, count);
      assert.deepEqual([found.left, found.turns], [left, given.slice(left)]);
      assert.equal(found.turns[0].role, "user");
    });
  }

  it("keeps its instructions", async () => {
    const { turns: asked, left } = await fit("Be brief", turns(11), 9 * 18 + 9, count);
    assert.deepEqual([asked[0], left], [{ role: "system", content: "Be brief" }, 4]);
  });
});
