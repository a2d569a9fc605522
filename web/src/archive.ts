// Models in a tar archive, as `Phi.exportModel` gives them: their files are read where they lie in
// it, so that nothing is unpacked.

import { ModelError } from "./errors.js";

/** Bytes of a header, and what files in an archive are rounded up to. */
const BLOCK = 512;
/** No model has as many files. */
const MOST_FILES = 10_000;
const PLAIN = ["0", "\0"];
const EXTENDED = "x";

interface Header {
  path: string;
  size: number;
  kind: string;
  /** Milliseconds. */
  changed: number;
}

/** The files of an archive; of any other file, that file. */
export async function unpacked(file: Blob): Promise<Blob | File[]> {
  return (await isArchive(file)) ? filesIn(file) : file;
}

async function isArchive(file: Blob): Promise<boolean> {
  try {
    return (await file.slice(257, 262).text()) === "ustar";
  } catch {
    return false; // What cannot be read is told of by who reads it.
  }
}

async function filesIn(archive: Blob): Promise<File[]> {
  const name = archive instanceof File ? archive.name : "the archive";
  const files: File[] = [];
  let extended: Record<string, string> = {};
  for (let at = 0, count = 0; at + BLOCK <= archive.size && count < MOST_FILES; count++) {
    const bytes = new Uint8Array(await archive.slice(at, at + BLOCK).arrayBuffer());
    if (bytes.every((byte) => byte === 0)) break;
    const header = read(bytes);
    if (!header)
      throw new ModelError("malformed", `${name} is damaged at byte ${at}: export the model again`);
    const { path = header.path, size = header.size } = extended;
    const begin = at + BLOCK;
    const end = begin + Number(size);
    if (!(end <= archive.size)) {
      throw new ModelError(
        "truncated",
        `${name} ends at byte ${archive.size}, in the middle of ${path}: copy it again`,
      );
    }
    const content = archive.slice(begin, end);
    extended = header.kind === EXTENDED ? fieldsOf(await content.text()) : {};
    const plain = path.replace(/.*\//, "");
    // macOS puts files of its own beside others.
    if (PLAIN.includes(header.kind) && plain && !plain.startsWith("._"))
      files.push(new File([content], plain, { lastModified: header.changed }));
    at = begin + Math.ceil(Number(size) / BLOCK) * BLOCK;
  }
  if (files.length === 0)
    throw new ModelError(
      "not-a-model",
      `${name} is an archive without files: export a model, and choose what comes out`,
    );
  return files;
}

/** Undefined where its sum is wrong. */
function read(bytes: Uint8Array): Header | undefined {
  const text = (from: number, length: number) =>
    new TextDecoder().decode(bytes.subarray(from, from + length)).replace(/\0.*$/s, "");
  const number = (from: number, length: number) => parseInt(text(from, length).trim() || "0", 8);
  const sum = bytes.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
  const size = number(124, 12);
  if (number(148, 8) !== sum || !(size >= 0)) return undefined;
  const folder = text(345, 155);
  const kind = String.fromCharCode(bytes[156]!);
  return {
    path: folder ? `${folder}/${text(0, 100)}` : text(0, 100),
    size,
    kind,
    changed: number(136, 12) * 1000,
  };
}

/** Of what does not fit in a header: lines of a length, a name and a value. */
function fieldsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^\d+ (\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]),
  );
}
