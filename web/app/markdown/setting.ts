// Formulas are set as MathML, and copied as the LaTeX that they came from. What sets them arrives
// with the first one.

import type Temml from "temml";

let temml: typeof Temml | undefined;
let loading: Promise<unknown> | undefined;

const FORMULA = ".formula";
/** Browsers lay elements out by recursion: a formula that is nested deeper stays text. */
const DEEPEST = 100;

/** Sets the formulas among these nodes; at once, unless what sets them is still to come. */
export function setFormulas(nodes: Iterable<Node>): void {
  const elements = [...nodes].filter((node) => node instanceof HTMLElement);
  const found = elements.flatMap((element) =>
    element.matches(FORMULA) ? [element] : [...element.querySelectorAll<HTMLElement>(FORMULA)],
  );
  if (found.length === 0) return;
  if (temml) return found.forEach(set);
  // Without a network, and not kept yet, they stay as they were written.
  void (loading ??= begin()).then(() => found.forEach(set)).catch(() => (loading = undefined));
}

async function begin(): Promise<void> {
  ({ temml } = await import("./temml.js"));
  document.addEventListener("copy", copied);
}

function set(element: HTMLElement): void {
  const source = element.textContent ?? "";
  // Within a line, two dollars are what others write one for.
  const displayMode = element.matches("p") || source.startsWith("\\[");
  const math = document.createElement("span");
  try {
    temml!.render(source.slice(2, -2), math, {
      displayMode,
      throwOnError: true,
      wrap: displayMode ? "none" : "tex",
      maxSize: [40, 40],
    });
  } catch {
    return; // What is no LaTeX, or more than the library can take, stays as it was written.
  }
  if (depth(math) > DEEPEST) return;
  // Names and links are the page's own.
  for (const node of math.querySelectorAll("[id], [href]"))
    for (const name of ["id", "href"]) node.removeAttribute(name);
  element.dataset.source = source;
  element.replaceChildren(...math.childNodes);
  // What is too wide is scrolled, by the keyboard too.
  if (element.scrollWidth > element.clientWidth && element.matches("p")) element.tabIndex = 0;
}

function depth(root: Element): number {
  let deepest = 0;
  for (let [level, depth]: [Element[], number] = [[root], 0]; level.length > 0; depth++) {
    deepest = depth;
    level = level.flatMap(({ children }) => [...children]);
  }
  return deepest;
}

/** Formulas that are selected, in part at least, are copied whole, as they were written. */
function copied(event: ClipboardEvent): void {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || !event.clipboardData) return;
  const range = selection.getRangeAt(0).cloneRange();
  const [first, last] = [formulaAround(range.startContainer), formulaAround(range.endContainer)];
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  const fragment = range.cloneContents();
  const found = fragment.querySelectorAll<HTMLElement>(`${FORMULA}[data-source]`);
  if (found.length === 0) return;
  for (const formula of found) formula.textContent = formula.dataset.source!;
  // Only what is in the page has lines.
  const page = document.createElement("div");
  page.className = "markdown copied";
  page.append(fragment);
  document.body.append(page);
  event.clipboardData.setData("text/plain", page.innerText);
  event.clipboardData.setData("text/html", page.innerHTML);
  page.remove();
  event.preventDefault();
}

function formulaAround(node: Node): Element | null {
  return (node instanceof Element ? node : node.parentElement)?.closest(FORMULA) ?? null;
}
