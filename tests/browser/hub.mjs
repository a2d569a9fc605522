// A model server on an origin of its own, as slow, as wrong and as counted as a test wants it.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout } from "node:timers/promises";

/** Serves a folder's files by ranges. Fields may be changed at any time. */
export class Hub {
  /** Bytes of bodies that were sent, and requests that were answered. */
  sent = 0;
  requests = 0;
  /** Bytes a second, of all connections together. */
  speed = Infinity;
  /** Answers in place of us, if it returns true. */
  fault = (_request, _response) => false;
  /** What is said to be the files' state. */
  tag = '"1"';

  static async open(folder) {
    const hub = new Hub();
    hub.folder = folder;
    hub.server = createServer((request, response) => void hub.#answer(request, response).catch(() => response.destroy()));
    await new Promise((resolve) => hub.server.listen(0, "127.0.0.1", resolve));
    hub.address = `http://127.0.0.1:${hub.server.address().port}/`;
    return hub;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

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
    response.writeHead(206, { ETag: this.tag, "Content-Length": end - start, "Content-Range": `bytes ${start}-${end - 1}/${size}` });
    await pipeline(createReadStream(file, { start, end: end - 1 }), (pieces) => this.#count(pieces), response);
  }

  async *#count(pieces) {
    for await (const piece of pieces) {
      this.sent += piece.length;
      if (this.speed < Infinity) await this.#pause(piece.length);
      yield piece;
    }
  }

  /** Connections take turns on the one line. */
  #line = Promise.resolve();
  #pause(bytes) {
    this.#line = this.#line.then(() => setTimeout((1000 * bytes) / this.speed));
    return this.#line;
  }
}
