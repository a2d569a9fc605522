// The AI SDK and our provider, for tests that run in the page.

import { generateText, jsonSchema, streamText, tool } from "ai";
import { Phi } from "phi-wasm";
import { createPhi, phiModel } from "phi-wasm/ai-sdk";

Object.assign(self, { generateText, jsonSchema, streamText, tool, Phi, createPhi, phiModel });
document.body.dataset.outcome = "there";
