// The AI SDK and our provider, for tests that run in the page.

import { generateObject, generateText, jsonSchema, Output, streamText, tool } from "ai";
import { Phi } from "phi-wasm";
import { createPhi, phiModel } from "phi-wasm/ai-sdk";

Object.assign(self, { generateObject, generateText, jsonSchema, Output, streamText, tool });
Object.assign(self, { Phi, createPhi, phiModel });
document.body.dataset.outcome = "there";
