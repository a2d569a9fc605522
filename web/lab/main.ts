// The page: load a model, ask, read the answer as it comes.

import {
  type Backend,
  type ChatMessage,
  Phi,
  PhiError,
  type Progress,
  type Stats,
  VARIANTS,
} from "../src/index.js";

// Tests call the package as pages do.
Object.assign(window, { Phi });

const DEMO_MODEL = "/models/SmolLM2-135M-Instruct.Q4_1.gguf";

/** The page's element of that id, of the kind that the markup gives it. */
function the<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

const page = {
  loader: the<HTMLFormElement>("loader"),
  model: the<HTMLInputElement>("model"),
  backend: the<HTMLSelectElement>("backend"),
  files: the<HTMLInputElement>("files"),
  choose: the("choose"),
  load: the<HTMLButtonElement>("load"),
  cancel: the<HTMLButtonElement>("cancel"),
  loading: the("loading"),
  progress: the<HTMLProgressElement>("progress"),
  amount: the("amount"),
  loaded: the("loaded"),
  name: the("name"),
  facts: the("facts"),
  notice: the("notice"),
  change: the<HTMLButtonElement>("change"),
  transcript: the("transcript"),
  error: the("error"),
  status: the("status"),
  composer: the<HTMLFormElement>("composer"),
  question: the<HTMLTextAreaElement>("question"),
  ask: the<HTMLButtonElement>("ask"),
  stop: the<HTMLButtonElement>("stop"),
  temperature: the<HTMLInputElement>("temperature"),
  longest: the<HTMLInputElement>("longest"),
  instructions: the<HTMLInputElement>("instructions"),
  forget: the<HTMLButtonElement>("forget"),
};

const wishes = new URLSearchParams(location.search);
const variant = VARIANTS.find((name) => name === wishes.get("variant"));
/**
 * For tests and measurements: which module computes, on how many threads, whether the model is
 * kept, and whether SwiftShader may compute.
 */
const storage = wishes.get("storage") === "auto" ? "auto" : "none";
const softwareGpu = wishes.has("softwareGpu");
const special = {
  ...(variant && { variant }),
  threads: Number(wishes.get("threads") ?? 0),
  storage,
  softwareGpu,
} as const;

let phi: Phi | undefined;
let conversation: ChatMessage[] = [];
/** Ends what is going on now, be it a download or an answer. */
let current: AbortController | undefined;
/** The line beneath the answer that is under way. */
let answering: HTMLElement | undefined;

// ----------------------------------------------------------------------------------------- loading

async function load(model: string | File[]): Promise<void> {
  current = new AbortController();
  showLoading(true);
  say("Loading the model.");
  try {
    const backend = page.backend.value as Backend;
    phi = await Phi.load({
      model,
      backend,
      ...special,
      onProgress: showProgress,
      signal: current.signal,
    });
    showModel(phi);
    say("The model is loaded.");
  } catch (error) {
    show(error);
  } finally {
    showLoading(false);
  }
}

function showLoading(busy: boolean): void {
  page.load.hidden = page.choose.hidden = busy;
  page.cancel.hidden = !busy;
  page.loading.hidden = !busy;
  page.model.disabled = page.backend.disabled = busy;
  page.progress.removeAttribute("value");
  page.amount.textContent = "";
  if (busy) page.error.hidden = true;
  else current = undefined;
}

function showProgress({ done, total }: Progress): void {
  page.progress.value = total > 0 ? done / total : 0;
  const amount = `${megabytes(done)} of ${megabytes(total)}`;
  page.amount.textContent = amount;
  // While an answer is under way, only a lost device has the model loaded.
  if (answering) answering.textContent = `loading again: ${amount}`;
}

function showModel({ description }: Phi): void {
  page.name.textContent = decodeURIComponent(
    description.model.replace(/\/$/, "").split("/").pop() ?? "",
  );
  const size = `${(description.parameters / 1e6).toFixed(0)} million weights`;
  page.facts.textContent = [
    size,
    `${description.ctxLen} tokens of context`,
    description.backend,
  ].join(" · ");
  page.notice.textContent = description.notice ?? "";
  page.notice.hidden = !description.notice;
  page.loaded.dataset.device = description.device;
  page.loaded.hidden = page.composer.hidden = false;
  page.loader.hidden = true;
  page.question.focus();
}

function change(): void {
  void phi?.unload();
  phi = undefined;
  forget();
  page.loaded.hidden = page.composer.hidden = true;
  page.loader.hidden = false;
  page.model.focus();
}

// ------------------------------------------------------------------------------------------ asking

async function ask(): Promise<void> {
  const question = page.question.value.trim();
  if (!phi || !question || current) return;
  current = new AbortController();
  page.question.value = "";
  page.error.hidden = true;
  add("question", question);
  const { article, text, figures } = addAnswer();
  answering = figures;
  conversation.push({ role: "user", content: question });
  showAnswering(true);
  say("The model answers.");
  try {
    const instructions = page.instructions.value.trim();
    const messages: ChatMessage[] = instructions
      ? [{ role: "system", content: instructions }, ...conversation]
      : conversation;
    const options = {
      max_tokens: page.longest.valueAsNumber,
      temperature: page.temperature.valueAsNumber,
    };
    const answer = await phi.chat.completions.create(
      { messages, ...options, stream: true },
      {
        signal: current.signal,
        onPrefill: (done, total) => (figures.textContent = `reading: ${done} of ${total} tokens`),
        onNotice: (sentence) => note(figures, sentence),
      },
    );
    for await (const { choices } of answer) {
      const piece = choices[0]?.delta.content;
      if (piece) follow(() => text.append(piece));
    }
    const stats = await phi.stats();
    if (stats) showFigures(article, figures, stats);
    conversation.push({ role: "assistant", content: text.textContent ?? "" });
    showModel(phi);
    say("The answer is complete.");
  } catch (error) {
    figures.textContent = "no further";
    conversation.pop();
    show(error);
  } finally {
    answering = undefined;
    showAnswering(false);
    page.question.focus();
  }
}

function showAnswering(busy: boolean): void {
  page.ask.hidden = busy;
  page.stop.hidden = !busy;
  page.change.disabled = page.forget.disabled = busy;
  if (!busy) current = undefined;
}

function add(kind: "question" | "answer", content: string): HTMLElement {
  const article = document.createElement("article");
  article.className = kind;
  article.textContent = content;
  page.transcript.append(article);
  return article;
}

function addAnswer(): { article: HTMLElement; text: HTMLElement; figures: HTMLElement } {
  const article = add("answer", "");
  const text = document.createElement("div");
  const figures = document.createElement("p");
  figures.className = "figures";
  article.append(text, figures);
  article.scrollIntoView({ block: "end" });
  return { article, text, figures };
}

/** Says beneath an answer what happened meanwhile. */
function note(figures: HTMLElement, sentence: string): void {
  const line = document.createElement("p");
  line.className = "note";
  line.textContent = sentence;
  figures.before(line);
}

function showFigures(article: HTMLElement, figures: HTMLElement, stats: Stats): void {
  const ends = {
    stop: "",
    length: " · cut at the longest answer",
    tool_calls: " · calls tools",
    cancelled: " · stopped",
  };
  const [decode, prefill] = [stats.decodeTps.toFixed(1), stats.prefillTps.toFixed(0)];
  const speeds = `${decode} tokens/s, read at ${prefill} tokens/s`;
  const end = stats.backend + ends[stats.finish];
  figures.textContent = `${stats.generatedTokens} tokens · ${speeds} · ${end}`;
  article.dataset.stats = JSON.stringify(stats);
}

/** Changes the page and stays at its end, unless the reader has scrolled away. */
function follow(change: () => void): void {
  const root = document.documentElement;
  const atEnd = root.scrollHeight - root.scrollTop - root.clientHeight < 40;
  change();
  if (atEnd) root.scrollTop = root.scrollHeight;
}

function forget(): void {
  conversation = [];
  page.transcript.replaceChildren();
  page.error.hidden = true;
}

// -------------------------------------------------------------------------------------------- both

function show(error: unknown): void {
  if (error instanceof PhiError && error.code === "cancelled") return say("Stopped.");
  page.error.textContent = error instanceof Error ? error.message : String(error);
  page.error.dataset.code = error instanceof PhiError ? error.code : "internal";
  page.error.hidden = false;
}

/** For those who listen to the page. */
function say(sentence: string): void {
  page.status.textContent = sentence;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

function whenSubmitted(form: HTMLFormElement, act: () => Promise<void>): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void act();
  });
}

page.model.value = wishes.get("model") ?? DEMO_MODEL;
const backend = wishes.get("backend");
if (backend === "gpu" || backend === "cpu") page.backend.value = backend;

whenSubmitted(page.loader, () => load(new URL(page.model.value, document.baseURI).href));
page.files.addEventListener("change", () => {
  const files = [...(page.files.files ?? [])];
  page.files.value = "";
  if (files.length > 0) void load(files);
});
whenSubmitted(page.composer, ask);
page.cancel.addEventListener("click", () => current?.abort());
page.stop.addEventListener("click", () => current?.abort());
page.change.addEventListener("click", change);
page.forget.addEventListener("click", forget);
page.question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  page.composer.requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") current?.abort();
});
