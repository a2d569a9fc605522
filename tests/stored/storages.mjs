// What lies in a browser's storages, and how it comes to lie there: functions for a page. A file is
// its path and what is in it.

/**
 * By their names in the package: what has a browser take this one, and how its fixtures' names
 * begin.
 */
export const STORAGES = {
  opfs: { args: [], prefix: "", read: readOpfs, write: writeOpfs },
  indexeddb: {
    args: ["--disable-blink-features=WebGPU,FileSystemAccessOriginPrivate"],
    prefix: "indexeddb-",
    read: readDatabase,
    write: writeDatabase,
  },
};

async function readOpfs() {
  const files = {};
  const visit = async (folder, path) => {
    for await (const [name, entry] of folder.entries())
      if (entry.kind === "directory") await visit(entry, `${path}${name}/`);
      else files[path + name] = await entry.getFile();
  };
  await visit(await navigator.storage.getDirectory(), "");
  return files;
}

/** Of files that are served in a folder. */
async function writeOpfs(served, paths) {
  for (const path of paths) {
    const folders = path.split("/");
    const name = folders.pop();
    let folder = await navigator.storage.getDirectory();
    for (const name of folders) folder = await folder.getDirectoryHandle(name, { create: true });
    const file = await folder.getFileHandle(name, { create: true });
    const { body } = await fetch(`/models/${served}/${path}`);
    await body.pipeTo(await file.createWritable());
  }
}

/** MODEL/FILE/NUMBER is a block of a file; sizes.json has [[MODEL, FILE], SIZE] of each file. */
async function readDatabase() {
  const outcome = (request) =>
    new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const database = await outcome(indexedDB.open("phi-wasm"));
  const rows = async (name) => {
    const store = database.transaction(name).objectStore(name);
    const [keys, values] = [store.getAllKeys(), store.getAll()].map(outcome);
    const found = await values;
    return (await keys).map((key, index) => [key, found[index]]);
  };
  const blocks = (await rows("blocks")).map(([key, block]) => [key.join("/"), block]);
  const sizes = JSON.stringify(await rows("files"));
  database.close();
  return { ...Object.fromEntries(blocks), "sizes.json": sizes };
}

async function writeDatabase(served, paths) {
  const outcome = (request) =>
    new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const opening = indexedDB.open("phi-wasm", 1);
  opening.onupgradeneeded = () => {
    for (const name of ["files", "blocks"]) opening.result.createObjectStore(name);
  };
  const database = await outcome(opening);
  const put = (name, key, value) =>
    outcome(database.transaction(name, "readwrite").objectStore(name).put(value, key));
  for (const path of paths) {
    const response = await fetch(`/models/${served}/${path}`);
    if (path === "sizes.json")
      for (const [key, size] of await response.json()) await put("files", key, size);
    else {
      const [model, file, number] = path.split("/");
      const block = new Uint8Array(await response.arrayBuffer());
      await put("blocks", [model, file, Number(number)], block);
    }
  }
  database.close();
}
