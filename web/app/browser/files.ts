// Files out of the app, and the user's own into it.

/** Offers a text as a download. */
export function saveFile(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers read the address only after this task.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

interface SaveTarget {
  createWritable(): Promise<WritableStream<Uint8Array>>;
}

/**
 * Writes a stream straight to the disk where the browser can; elsewhere it becomes a download,
 * which needs room for all of it.
 */
export async function saveStream(
  name: string,
  open: () => Promise<ReadableStream<Uint8Array>>,
): Promise<void> {
  const picker = (
    window as { showSaveFilePicker?: (options: { suggestedName: string }) => Promise<SaveTarget> }
  ).showSaveFilePicker;
  if (picker) {
    const target = await picker({ suggestedName: name });
    return (await open()).pipeTo(await target.createWritable());
  }
  saveFile(name, await new Response(await open()).blob(), "application/x-tar");
}

/** What models are made of. */
const MODEL_FILES = ".gguf,.safetensors,.json,.jinja,.tar";

/** Has the user pick a model's file or its folder; nothing when they do not. */
export async function pickModel(
  folder: boolean,
): Promise<{ source: File[]; name: string; stored: false } | undefined> {
  const source = await pickFiles(MODEL_FILES, { multiple: true, folder });
  const [first] = source;
  if (!first) return undefined;
  const weights = source.find(({ name }) => /\.(gguf|safetensors)$/.test(name)) ?? first;
  return {
    source,
    name: folder ? first.webkitRelativePath.split("/")[0]! : weights.name,
    stored: false,
  };
}

/** Has the user pick; an empty list when they do not. */
export function pickFiles(
  accept: string,
  options: { multiple?: boolean; folder?: boolean } = {},
): Promise<File[]> {
  return new Promise((resolve) => {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = accept;
    input.multiple = options.multiple ?? false;
    input.webkitdirectory = options.folder ?? false;
    const done = () => {
      resolve([...(input.files ?? [])]);
      input.remove();
    };
    input.addEventListener("change", done);
    input.addEventListener("cancel", done);
    // Some browsers tell only an input that is in the page.
    input.hidden = true;
    document.body.append(input);
    input.click();
  });
}
