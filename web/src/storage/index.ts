// Models kept by the browser: files for the engine's worker, and what a page may do with whole
// models.

export { type StorageEstimate, storageEstimate } from "./estimate.js";
export { holdModel, type Waiting } from "./lock.js";
export { deleteModel, exportModel, listModels, type StoredModel } from "./models.js";
export { openStorage } from "./open.js";
export { deletePrefixes, type Prefixes } from "./prefixes.js";
export { persist } from "./room.js";
export {
  type ModelStorage,
  type Refusal,
  type StorageCode,
  StorageFault,
  type StorageKind,
} from "./storage.js";
