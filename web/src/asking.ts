// How the engine's worker asks servers for a model's files. The engine calls its thread's own
// `fetch` with requests for parts of files; here they get what is to be sent along, and answers and
// failures are looked at that the engine could not tell from others.

/** What goes along with requests to one server. */
export interface Along {
  origin: string;
  headers: Record<string, string>;
}

/** Milliseconds that a server has to answer the question whether it is there at all. */
const PATIENCE = 5000;
const ALLOW = "it must send Access-Control-Allow-Origin";

let along: Along | undefined;
/** Addresses at which there are web pages. */
let pages: string[] = [];
let ask = self.fetch;

/** The engine's requests; all else is asked as ever. */
const askAll: typeof ask = (asked, init) =>
  asked instanceof Request ? askServer(asked) : ask(asked, init);

/** From here on the engine asks so. */
export function askFor(sent: Along | undefined): void {
  along = sent;
  pages = [];
  if (self.fetch === askAll) return;
  ask = self.fetch;
  self.fetch = askAll;
}

/** The first address at which there was a web page in place of a file. */
export function pageMet(): string | undefined {
  return pages[0];
}

async function askServer(asked: Request): Promise<Response> {
  const response = await ask(withHeaders(asked)).catch(async (error) => {
    throw (await whyNot(asked)) ?? error;
  });
  // Servers answer so for whatever they have not: no file of a model is one.
  if (response.status !== 200 || !response.headers.get("Content-Type")?.startsWith("text/html"))
    return response;
  pages.push(asked.url);
  void response.body?.cancel().catch(() => {});
  return new Response(null, { status: 404 });
}

function withHeaders(asked: Request): Request {
  if (!along || new URL(asked.url).origin !== along.origin) return asked;
  const headers = new Headers(asked.headers);
  for (const [name, value] of Object.entries(along.headers)) headers.set(name, value);
  return new Request(asked, { headers });
}

/** What a browser does not say of a server of another origin that cannot be asked. */
async function whyNot({ url, signal }: Request): Promise<TypeError | undefined> {
  if (signal.aborted || new URL(url).origin === self.location.origin) return undefined;
  if (await isThere(url))
    return new TypeError(`its server answers, but lets no other site read that: ${ALLOW}`);
  // There the question itself may be kept from an answer that says nothing of this site.
  if (self.crossOriginIsolated)
    return new TypeError(
      `its server does not answer, or lets no other site read what it has: then ${ALLOW}`,
    );
  return undefined;
}

/** Whether a server gives an answer, which nobody may read. */
async function isThere(url: string): Promise<boolean> {
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), PATIENCE);
  try {
    await ask(url, {
      mode: "no-cors",
      cache: "no-store",
      credentials: "omit",
      signal: enough.signal,
    });
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
    enough.abort();
  }
}
