// Writes what hosts are told of a release of the app: `_headers` into its folder, for Netlify and
// Cloudflare Pages; `nginx.conf` beside it.
//
//   node host-files.mjs APP_FOLDER

import { readdirSync, writeFileSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import { CACHING, HEADERS, SEALED, TYPES } from "./headers.mjs";

const app = resolve(process.argv[2]);
const extensions = readdirSync(app, { recursive: true }).map((name) => extname(name).slice(1));
const unknown = extensions.filter((extension) => extension && !(extension in TYPES));
if (unknown.length > 0)
  throw new Error(`headers.mjs has no type for .${unknown[0]}, which ${app} has files of`);
writeFileSync(join(app, "_headers"), netlify());
writeFileSync(join(dirname(app), "nginx.conf"), nginx());

/**
 * A header that two rules set for a path is sent as both, with a comma: for a policy that means
 * that both are obeyed. No other is set twice.
 */
function netlify() {
  const own = (path) => path === `${SEALED.path}*` && { "Content-Security-Policy": SEALED.policy };
  const rules = [
    ["/*", HEADERS],
    ...Object.entries(CACHING).map(([path, value]) => [
      path,
      { "Cache-Control": value, ...own(path) },
    ]),
  ];
  return rules
    .map(([path, headers]) => `${path}\n${lines(headers, (name, value) => `  ${name}: ${value}`)}`)
    .join("\n");
}

function nginx() {
  // Both lists have text/html in them by nature.
  const texts = Object.values(TYPES).filter(
    (type) => type.startsWith("text/") && type !== "text/html",
  );
  const compressed = [...texts, TYPES.svg, TYPES.wasm, TYPES.webmanifest];
  const location = (path) => (path.endsWith("*") ? path.slice(0, -1) : `= ${path}`);
  // A location with headers of its own would inherit none: it sets a variable instead.
  const also = (name) => (name === "Content-Security-Policy" ? "$sealed" : "");
  return `# The app under nginx:
#
#   server {
#     listen 80;
#     root /srv/phi/app;
#     include /srv/phi/nginx.conf;
#   }
#
# Browsers give a page threads, storage and the GPU only where it comes over https or from the same
# machine.

types {
${lines(TYPES, (extension, type) => `    ${type} ${extension};`)}}
default_type application/octet-stream;
charset utf-8;
charset_types ${texts.join(" ")};

gzip on;
gzip_vary on;
gzip_types ${compressed.join(" ")};

set $cache_control "";
set $sealed "";
${lines(HEADERS, (name, value) => `add_header ${name} "${value}${also(name)}" always;`)}\
add_header Cache-Control $cache_control;

${lines(
  CACHING,
  (path, value) => `location ${location(path)} { set $cache_control "${value}";${sealed(path)} }`,
)}`;
}

function sealed(path) {
  return path === `${SEALED.path}*` ? ` set $sealed ", ${SEALED.policy}";` : "";
}

function lines(table, line) {
  return Object.entries(table)
    .map(([name, value]) => `${line(name, value)}\n`)
    .join("");
}
