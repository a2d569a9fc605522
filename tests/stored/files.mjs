// What an earlier version stored: of which model, and how its files are packed here.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";

/** The model that was stored: 12 MB, whose weights repeat themselves, so that they pack small. */
export const SHAPE = {
  seed: 9,
  layers: 6,
  hidden: 512,
  intermediate: 1536,
  heads: 8,
  kvHeads: 4,
  period: 8192,
};
/**
 * Its address: what is stored of a model goes by that. `resolved` has Chromium ask a server here.
 */
export const ADDRESS = "http://models.test/random.gguf";
export const resolved = (server) => ({
  args: [`--host-resolver-rules=MAP models.test 127.0.0.1:${new URL(server).port}`],
});
/** What it was asked. */
export const QUESTION = "Why is the sky blue?";

/** Where the files of a commit lie. */
export const placeOf = (commit) => new URL(`${commit}/`, import.meta.url);

/** Packs files, path → bytes. */
export function pack(to, files) {
  const folder = mkdtempSync(join(tmpdir(), "phi-stored-"));
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  const options = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  const tar = execFileSync("tar", ["c", ...options, "-C", folder, "."], { maxBuffer: 1 << 30 });
  rmSync(folder, { recursive: true });
  const params = { [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS };
  writeFileSync(to, brotliCompressSync(tar, { params }));
}

/** Unpacks them into a folder that is gone when this process is; its path. */
export function unpack(from) {
  const folder = mkdtempSync(join(tmpdir(), "phi-stored-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  execFileSync("tar", ["x", "-C", folder], { input: brotliDecompressSync(readFileSync(from)) });
  return folder;
}
