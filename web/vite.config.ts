import { defineConfig } from "vite";

// The page is app/, and so is the one that times the engine; they and the worker share src/. Paths stay relative, so that the built page can live in any folder of a site.
export default defineConfig({
  root: "app",
  base: "./",
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    rolldownOptions: { input: ["app/index.html", "app/bench.html"] },
  },
  worker: { format: "es" },
});
