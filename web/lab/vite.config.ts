import { defineConfig } from "vite";
import { builtModules } from "../modules.js";

// A bare page for tests of the engine and one that times it; both are the package's users like the
// app.
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  build: {
    outDir: "../dist/lab",
    target: "es2022",
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: ["index.html", "bench.html", "storage.html"].map(
        (page) => `${import.meta.dirname}/${page}`,
      ),
    },
  },
  worker: { format: "es", plugins: () => [builtModules()] },
  plugins: [builtModules()],
});
