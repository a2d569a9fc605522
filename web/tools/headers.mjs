// The headers that the app is served with: by our own server, by the hosts of a release, in part by
// its page and its service worker.

/** What makes a page one that may share memory with threads. */
export const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

const DIRECTIVES = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "font-src 'self'",
  "connect-src 'self' blob: https://huggingface.co https://*.huggingface.co https://*.hf.co",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  // Scripts are started, and markup is written, by one policy (src/trusted.ts).
  "require-trusted-types-for 'script'",
  "trusted-types phi-wasm",
];

/**
 * The app loads nothing from elsewhere but models from their hub. Its page says so too, but workers
 * obey their own response.
 */
export const PAGE_POLICY = DIRECTIVES.join("; ");
/** A page may not say by whom it may be framed: only a header may. */
export const POLICY = `${PAGE_POLICY}; frame-ancestors 'none'`;

/**
 * A second policy for the engine's script under this path, which is used where the model is on the
 * device: browsers obey both.
 */
export const SEALED = { path: "/sealed/", policy: "connect-src 'self'" };

/** What every answer has. */
export const HEADERS = { ...ISOLATED, "Content-Security-Policy": POLICY };

const ASK = "no-cache";
/**
 * How long browsers may keep what a release's host sends, by path: for good where the name tells
 * one content from another.
 */
export const CACHING = {
  "/assets/*": "public, max-age=31536000, immutable",
  "/": ASK,
  "/index.html": ASK,
  "/service-worker.js": ASK,
  "/manifest.webmanifest": ASK,
  "/sealed/*": ASK,
};

/** The kinds of files that a release of the app has. */
export const TYPES = {
  css: "text/css",
  html: "text/html",
  js: "text/javascript",
  md: "text/markdown",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain",
  wasm: "application/wasm",
  webmanifest: "application/manifest+json",
};
