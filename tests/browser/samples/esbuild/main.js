import { Phi } from "phi-wasm";
import { ask } from "./ask.js";

ask(Phi);
