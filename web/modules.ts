// For pages that are bundled before all wasm modules are built, as `cargo xtask demo` does:
// PHI_MODULES names those that are.

import type { Plugin } from "vite";

const SOURCES = `${import.meta.dirname}/`;
const VARIANTS = /\["simd", "relaxed", "threads", "threads-relaxed"\] as const/;

/**
 * Has the page choose among the modules that are built; the files of the others, which it never
 * asks for, are those of the first.
 */
export function builtModules(): Plugin {
  const built = process.env.PHI_MODULES?.split(",");
  return {
    name: "built modules",
    enforce: "pre",
    transform(code, id) {
      if (!built || !id.startsWith(SOURCES) || id.includes("node_modules")) return null;
      if (id.endsWith("/src/variant.ts")) {
        if (!VARIANTS.test(code)) this.error("variant.ts does not list the modules as expected");
        return code.replace(VARIANTS, JSON.stringify(built));
      }
      return code.replace(/(?<=\/pkg\/)[\w-]+(?=\/phi_wasm)/g, (variant) =>
        built.includes(variant) ? variant : built[0]!,
      );
    },
  };
}
