"use client";

import { Phi } from "phi-wasm";
import { useEffect } from "react";
import { ask } from "../ask.js";

export default function Page() {
  useEffect(() => void ask(Phi), []);
  return null;
}
