// The package as it is, from this origin or another.
import { ask } from "./ask.js";

const { Phi } = await import(
  new URLSearchParams(location.search).get("package") ?? "./node_modules/phi-wasm/index.js"
);
ask(Phi);
