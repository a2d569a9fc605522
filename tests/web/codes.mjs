// All codes of errors that the engine has: its types are written from the Rust code's own table.

import { readFileSync } from "node:fs";

const types = readFileSync(new URL("../../crate/web/types.ts", import.meta.url), "utf8");

export const CODES = types
  .match(/type Code = (.*);/)[1]
  .split(" | ")
  .map((code) => JSON.parse(code));
