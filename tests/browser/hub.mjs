// A model server on an origin of its own, as far from its end, as wrong and as counted as a test
// wants it.

import { EventEmitter, once } from "node:events";
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { LONGEST } from "../../web/tools/waiting.mjs";

/** Serves a folder's files by ranges. Fields may be changed at any time. */
export class Hub {
  /** Bytes of bodies that were sent, and requests that were answered. */
  sent = 0;
  requests = 0;
  /** Answers in place of us, if it returns true. */
  fault = (_request, _response) => false;
  /** What is said to be the files' state. */
  tag = '"1"';
  /** Bytes of bodies that may still be sent, and bodies under way. */
  #allowance = Infinity;
  #bodies = 0;
  #line = new EventEmitter().setMaxListeners(0);

  constructor(folder) {
    this.folder = folder;
  }

  /** With a server and an address of its own. */
  static async open(folder) {
    const hub = new Hub(folder);
    hub.server = createServer(hub.answer);
    await new Promise((resolve) => hub.server.listen(0, "127.0.0.1", resolve));
    hub.address = `http://127.0.0.1:${hub.server.address().port}/`;
    return hub;
  }

  /**
   * Sends so many bytes of bodies more, of all connections together; what comes after them waits.
   */
  allow(bytes) {
    this.#allowance = bytes;
    this.#line.emit("more");
  }

  /**
   * Resolves once no body is under way: what was asked for has come, or nobody waits for it any
   * more.
   */
  async idle() {
    const signal = AbortSignal.timeout(LONGEST);
    while (this.#bodies > 0) await once(this.#line, "more", { signal });
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  answer = (request, response) =>
    void this.#answer(request, response).catch(() => response.destroy());

  async #answer(request, response) {
    this.requests++;
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "Range");
    response.setHeader("Access-Control-Expose-Headers", "Content-Range, ETag");
    if (this.fault(request, response)) return;
    const file = join(this.folder, basename(request.url));
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) return void response.writeHead(404).end();
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range);
    const [start, end] = [Number(first), Math.min(last ? Number(last) + 1 : size, size)];
    response.writeHead(206, {
      ETag: this.tag,
      "Content-Length": end - start,
      "Content-Range": `bytes ${start}-${end - 1}/${size}`,
    });
    this.#bodies++;
    response.once("close", () => this.#line.emit("more"));
    try {
      await pipeline(
        createReadStream(file, { start, end: end - 1 }),
        (pieces) => this.#count(pieces, response),
        response,
      );
    } finally {
      this.#bodies--;
      this.#line.emit("more");
    }
  }

  async *#count(pieces, response) {
    for await (const piece of pieces) {
      while (this.#allowance < piece.length && !response.destroyed) await once(this.#line, "more");
      if (response.destroyed) return;
      this.#allowance -= piece.length;
      this.sent += piece.length;
      yield piece;
    }
  }
}
