import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";
import { builtModules } from "../modules.js";
import { PAGE_POLICY } from "../tools/headers.mjs";

const icon = (sizes: string, purpose?: "maskable") => ({
  src: `icon-${purpose ? `${purpose}-` : ""}${sizes}.png`,
  sizes: `${sizes}x${sizes}`,
  type: "image/png",
  ...(purpose && { purpose }),
});

/** Where the build writes to. */
let folder = "";

/** What the service worker compares with: the SHA-256 of each file. */
function withHash<Entry extends { url: string }>(entry: Entry): Entry & { integrity: string } {
  return {
    ...entry,
    integrity: `sha256-${createHash("sha256")
      .update(readFileSync(resolve(folder, entry.url)))
      .digest("base64")}`,
  };
}

/**
 * The engine's script at a place whose answers have a policy of their own (tools/headers.mjs): who
 * is started from there obeys that.
 */
function sealEngine(): void {
  const script = readdirSync(resolve(folder, "assets")).find((name) =>
    /^worker-.*\.js$/.test(name),
  );
  mkdirSync(resolve(folder, "sealed"), { recursive: true });
  writeFileSync(resolve(folder, "sealed/worker.js"), `import "../assets/${script}";\n`);
}

// The chat app. Everything that it needs lies beside it: no fonts, scripts or pictures from
// elsewhere.
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    // Files of their own pass the strictest policy; data addresses do not.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Of the libraries in its scripts.
    license: { fileName: "licences.md" },
  },
  worker: { format: "es", plugins: () => [builtModules()] },
  plugins: [
    builtModules(),
    // Elements one by one, not as markup: what else would need a policy of its own.
    svelte({ compilerOptions: { fragments: "tree" } }),
    { name: "policy", transformIndexHtml: (html) => html.replace("%POLICY%", PAGE_POLICY) },
    {
      name: "sealed engine",
      configResolved: ({ root, build }) => void (folder = resolve(root, build.outDir)),
      writeBundle: sealEngine,
    },
    VitePWA({
      strategies: "injectManifest",
      srcDir: ".",
      filename: "service-worker.ts",
      // The app registers it itself, with a say in when a newer version takes over.
      injectRegister: false,
      injectManifest: {
        globPatterns: ["index.html", "*.{svg,png}", "assets/*.{js,css,wasm}", "sealed/*.js"],
        globIgnores: ["lab/**"],
        maximumFileSizeToCacheInBytes: 10_000_000,
        manifestTransforms: [(manifest) => ({ manifest: manifest.map(withHash) })],
      },
      manifest: {
        id: "./",
        name: "Phi: a language model on this device",
        short_name: "Phi",
        description:
          "A language model that runs whole on this device. It works offline, and nothing you " +
          "type leaves it.",
        lang: "en",
        start_url: "./",
        scope: "./",
        display: "standalone",
        background_color: "#fbfaf8",
        theme_color: "#fbfaf8",
        categories: ["productivity", "utilities"],
        icons: [icon("192"), icon("512"), icon("512", "maskable")],
      },
    }),
  ],
});
