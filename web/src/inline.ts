// What the package carries in its own scripts for pages whose bundler or server does not find the
// files: each loaded only when it is needed. The package's build (web/tools/pack.mjs) puts its own
// module here; who bundles these sources has the files.

import type { Module } from "./variant.js";

/** The worker's script. */
export const script: (() => Promise<{ default: string }>) | undefined = undefined;

/** Modules, compressed by gzip, in base64. */
export const modules: Partial<Record<Module, () => Promise<{ default: string }>>> = {};
