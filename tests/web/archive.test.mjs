// Models in a tar archive, as tar itself makes them: found where they lie, and refused by name
// where something is wrong.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { unpacked } from "../../web/src/archive.ts";

const BLOCK = 512;
const WEIGHTS = "w".repeat(BLOCK + 1);
/** Longer than a header has room for. */
const LONG = `${"long-".repeat(60)}.safetensors`.slice(-150);

const folder = mkdtempSync(join(tmpdir(), "phi-tar-"));
after(() => rmSync(folder, { recursive: true }));

/** What tar makes of these files. */
function tar(format, files) {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, format, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  const archive = join(folder, `${format}.tar`);
  const names = Object.keys(files);
  execFileSync("tar", ["-cf", archive, `--format=${format}`, "-C", join(folder, format), ...names]);
  return readFileSync(archive);
}

const contents = async (files) =>
  Object.fromEntries(await Promise.all(files.map(async (file) => [file.name, await file.text()])));

describe("an archive", () => {
  for (const format of ["ustar", "pax"]) {
    it(`that is ${format} gives its files, without their folders`, async () => {
      const files = { "model/config.json": "{}", "model/model.safetensors": WEIGHTS };
      if (format === "pax") files[`model/${LONG}`] = "long";
      const found = await unpacked(new File([tar(format, files)], "model.tar"));
      const named = Object.entries(files).map(([name, content]) => [name.slice(6), content]);
      assert.deepEqual(await contents(found), Object.fromEntries(named));
    });
  }

  it("is read past what macOS puts beside its files", async () => {
    const bytes = tar("ustar", { "model/._config.json": "of macOS", "model/config.json": "{}" });
    assert.deepEqual(await contents(await unpacked(new Blob([bytes]))), { "config.json": "{}" });
  });

  const whole = tar("ustar", { "a.gguf": WEIGHTS });
  const changed = Buffer.from(whole);
  changed[1] ^= 1;
  const BROKEN = {
    "that ends early": [whole.subarray(0, 2 * BLOCK), "truncated", /in the middle of a\.gguf/],
    "whose header was changed": [changed, "malformed", /damaged at byte 0/],
  };
  for (const [what, [bytes, code, sentence]] of Object.entries(BROKEN)) {
    it(`${what} is refused`, async () => {
      await assert.rejects(unpacked(new File([bytes], "model.tar")), { code, message: sentence });
    });
  }

  it("without files is no model", async () => {
    mkdirSync(join(folder, "empty"));
    const bytes = execFileSync("tar", ["-c", "--format=ustar", "-C", folder, "empty"]);
    await assert.rejects(unpacked(new Blob([bytes])), { code: "not-a-model" });
  });

  it("is what no other file is", async () => {
    const file = new Blob(["GGUF", "x".repeat(1000)]);
    assert.equal(await unpacked(file), file);
  });
});
