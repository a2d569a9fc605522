// Addresses of Hugging Face repositories, turned into addresses of files at one commit: what a
// download began with it also ends with.

import type { Along } from "./asking.js";
import { cancelled, InputError, ModelError, NetworkError } from "./errors.js";
import { keep, recall } from "./notes.js";
import { listModels } from "./storage/index.js";
import type { LoadOptions } from "./types.js";

const HOSTS = ["huggingface.co", "hf.co"];
const WEIGHTS = /\.(safetensors|gguf)$/i;
/** Small weights that change a model's, and are none by themselves. */
const ADAPTER = /(^|[-_.])(adapter|lora)([-_.]|$)/i;

/** A repository, or a folder or file of one, at a branch, tag or commit. */
interface Place {
  origin: string;
  id: string;
  revision: string;
  /** Of the folder or file within; empty for the repository itself. */
  path: string;
  isFile: boolean;
}

/** What the hub says about a revision. */
interface Revision {
  sha: string;
  siblings: { rfilename: string; lfs?: { sha256: string } | null }[];
}

/** Who asks the hub. */
type Asker = Pick<LoadOptions, "signal" | "token">;

/** Where a model's files are, for good. */
export interface Pinned {
  address: string;
  /** The SHA-256 of its large files, by their names at that address. */
  sha256: Record<string, string>;
}

/**
 * The address that a model's files can be read from; any other than a repository's stays as it is.
 */
export async function pinned(given: string, asker: Asker): Promise<Pinned> {
  const address = given.replace(/^(https?:\/\/)www\.(?=(huggingface\.co|hf\.co)(\/|$))/i, "$1");
  const place = parse(new URL(address));
  const notes = await remembered();
  // A download that goes on is named by where it came from.
  if (!place)
    return (
      Object.values(notes).find((known) => known.address === address) ?? { address, sha256: {} }
    );
  const known = notes[address];
  // Any commit to a repository changes its head: what is stored, perhaps in part, is not fetched
  // anew for that.
  if (known && (await isStored(known.address))) return known;
  const revision = await ask(place, asker).catch((error) => {
    // Without storage, the browser's own cache may hold the files.
    if (known && error instanceof NetworkError && error.code === "network") return undefined;
    throw error;
  });
  if (!revision) return known!;
  const path = choose(place, revision);
  const folder = decodeURIComponent(path).replace(/[^/]*$/, "");
  const large = revision.siblings.filter(
    ({ rfilename, lfs }) => lfs && rfilename.startsWith(folder),
  );
  const found = {
    address: `${place.origin}/${place.id}/resolve/${revision.sha}/${path}`,
    sha256: Object.fromEntries(
      large.map(({ rfilename, lfs }) => [rfilename.slice(folder.length), lfs!.sha256]),
    ),
  };
  await keep("hub", JSON.stringify({ ...notes, [address]: found }));
  return found;
}

/**
 * What goes along with requests for the files at an address: the hub's token to the hub, and what
 * the caller wants sent to any.
 */
export function alongWith(
  address: string,
  { token, headers = {} }: Pick<LoadOptions, "token" | "headers">,
): Along | undefined {
  const { host, origin } = new URL(address);
  const all = { ...headers, ...(HOSTS.includes(host) && bearer(token)) };
  return Object.keys(all).length > 0 ? { origin, headers: all } : undefined;
}

function bearer(token: string | undefined): Record<string, string> {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function parse({ host, origin, pathname }: URL): Place | undefined {
  if (!HOSTS.includes(host)) return undefined;
  const parts = pathname.split("/").filter(Boolean);
  const kind = ["tree", "blob", "resolve"].find((kind) => parts[1] === kind || parts[2] === kind);
  const id = kind ? parts.slice(0, parts.indexOf(kind)) : parts;
  // The files themselves, at a commit, need no look at the hub; neither does what is no model's
  // page.
  if (id.length < 1 || id.length > 2 || ["api", "datasets", "spaces"].includes(id[0]!))
    return undefined;
  const [revision = "main", ...within] = kind ? parts.slice(id.length + 1) : [];
  const path = within.join("/");
  const isFile = kind === "blob" || (kind === "resolve" && path !== "" && !pathname.endsWith("/"));
  if (kind === "resolve" && /^[0-9a-f]{40}$/.test(revision)) return undefined;
  return { origin, id: id.join("/"), revision, path, isFile };
}

async function ask({ origin, id, revision }: Place, { signal, token }: Asker): Promise<Revision> {
  const address = `${origin}/api/models/${id}/revision/${revision}?blobs=true`;
  const response = await fetch(address, {
    signal: signal ?? null,
    cache: "no-store",
    headers: bearer(token),
  }).catch((error: Error) => {
    if (signal?.aborted) throw cancelled("loading");
    throw new NetworkError(
      "network",
      `${address} cannot be reached (${error.message}): check the network and load again`,
    );
  });
  const repository = `${origin}/${id} at ${decodeURIComponent(revision)}`;
  // The hub does not tell strangers which of its repositories there are.
  if ([401, 403, 404].includes(response.status)) {
    throw new NetworkError(
      "not-found",
      `${repository} is not there or not for everyone (the hub answers ${response.status}): ` +
        "check the address, and give a token where it asks for one",
    );
  }
  if (!response.ok)
    throw new NetworkError(
      "network",
      `the hub answers ${response.status} for ${repository}: try again later`,
    );
  return response.json();
}

/** Of a repository's files, the one to name, or the folder with its slash. */
function choose({ origin, id, path, isFile }: Place, { siblings }: Revision): string {
  const files = siblings.map(({ rfilename }) => rfilename);
  const folder = path === "" || isFile ? "" : `${path}/`;
  const decoded = decodeURIComponent(isFile ? path : folder);
  if (isFile) {
    if (files.includes(decoded)) return path;
    throw new NetworkError("not-found", `${decoded} is not in ${origin}/${id}: check the address`);
  }
  const here = files
    .filter((file) => file.startsWith(decoded) && !file.slice(decoded.length).includes("/"))
    .map((file) => file.slice(decoded.length));
  // An adapter beside a model is not meant; one that is merged into it may be called after it.
  const others = here.filter((file) => !ADAPTER.test(file));
  const weights = others.some((file) => WEIGHTS.test(file))
    ? others
    : here.filter((file) => !file.startsWith("adapter_"));
  if (weights.some((file) => file.endsWith(".safetensors"))) return folder;
  // A split model is named by its first part.
  const models = weights.filter(
    (file) => /\.gguf$/i.test(file) && !/-(?!00001-)\d{5}-of-\d{5}\.gguf$/i.test(file),
  );
  if (models.length === 1) return folder + encodeURIComponent(models[0]!);
  const where = `${origin}/${id}${decoded && `, ${decoded}`}`;
  if (
    models.length === 0 &&
    weights.length < here.length &&
    here.some((file) => WEIGHTS.test(file))
  ) {
    throw new ModelError(
      "not-a-model",
      `${where} has an adapter, and not the model that it changes: give the address of that`,
    );
  }
  if (models.length === 0)
    throw new ModelError(
      "not-a-model",
      `${where} has neither safetensors nor a GGUF: give the address of a model`,
    );
  throw new InputError(
    "bad-option",
    `${where} has several models: give the address of one, with /blob/main/ before ` +
      `${models.join(" or ")}`,
  );
}

async function remembered(): Promise<Record<string, Pinned>> {
  try {
    return JSON.parse(await recall("hub"));
  } catch {
    return {};
  }
}

/** Whether storage holds something of what is at an address. */
async function isStored(address: string): Promise<boolean> {
  const stored = await listModels().catch(() => []);
  return stored.some(({ source }) => source.startsWith(address));
}
