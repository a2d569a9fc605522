// Reads chunks, a JSON line each, with the help that OpenAI's client has for streams, and says what
// they come to.

import { Readable } from "node:stream";
import { ChatCompletionStream } from "openai/lib/ChatCompletionStream";
import { VERSION } from "openai/version";

const pieces = [];
const stream = ChatCompletionStream.fromReadableStream(Readable.toWeb(process.stdin));
stream.on("content", (piece) => pieces.push(piece));
const { choices, usage } = await stream.finalChatCompletion();
console.log(JSON.stringify({ versions: [VERSION, process.versions.node], pieces, choices, usage }));
