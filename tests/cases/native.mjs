// A case's files, a place to write to, and the command.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Case {
  /** What differs from what is expected. */
  failures = [];

  constructor(name, folder, { phi, root, browsers }) {
    Object.assign(this, { name, folder, command: phi, root, browsers });
    this.scratch = mkdtempSync(join(tmpdir(), "phi-case-"));
  }

  close() {
    rmSync(this.scratch, { recursive: true, force: true });
  }

  failed(error) {
    this.failures.push(error.message);
    return "DIFFERS";
  }

  path(...names) {
    return join(this.folder, ...names);
  }

  text(...names) {
    return readFileSync(this.path(...names), "utf8");
  }

  json(...names) {
    return JSON.parse(this.text(...names));
  }

  /** A file of the repository. */
  ours(...names) {
    return join(this.root, ...names);
  }

  /** Writes a file, JSON unless it is a text; its path. */
  write(name, content) {
    const path = join(this.scratch, name);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  }

  /** A new folder with copies of these files, and with these contents; its path. */
  directory(name, copies, contents = {}) {
    const path = join(this.scratch, name);
    mkdirSync(path);
    for (const copied of copies) cpSync(copied, join(path, copied.split("/").at(-1)));
    for (const [file, content] of Object.entries(contents)) this.write(join(name, file), content);
    return path;
  }

  /** What any program says, and its status. */
  program(command, ...args) {
    const { status, stdout, stderr, error } = spawnSync(command, args, {
      encoding: "utf8",
      cwd: this.scratch,
      maxBuffer: 1 << 28,
    });
    if (error) throw error;
    return { status, stdout, stderr };
  }

  phi(...args) {
    return this.program(this.command, ...args);
  }

  /** What the command prints where it should succeed. */
  prints(...args) {
    const { status, stdout, stderr } = this.phi(...args);
    if (status !== 0) throw new Error(`phi ${args[0]} ended with ${status}: ${stderr.trim()}`);
    return stdout;
  }

  /**
   * Has a function of the page called with a loaded model, `file` of a folder, and with `given`;
   * what it returns.
   */
  ask(folder, options, ask, given) {
    return this.browsers.ask(folder, options, ask, given);
  }
}

/** The tensor `logits` of a safetensors file, a row a token. */
export function logitsOf(path, tokens) {
  const bytes = readFileSync(path);
  const begin = 8 + Number(bytes.readBigUInt64LE());
  const [from, to] = JSON.parse(bytes.toString("utf8", 8, begin)).logits.data_offsets;
  const all = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset + begin + from, bytes.byteOffset + begin + to),
  );
  const width = all.length / tokens;
  return Array.from({ length: tokens }, (_, row) => all.subarray(row * width, (row + 1) * width));
}
