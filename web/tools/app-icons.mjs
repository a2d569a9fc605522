// Draws the app's PNG icons from its SVG, into web/app/public.
//
//   node app-icons.mjs

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";

const PUBLIC = new URL("../app/public/", import.meta.url);
const SVG = readFileSync(new URL("icon.svg", PUBLIC), "utf8");
/**
 * Systems cut a maskable icon to a shape of theirs: its ground reaches the edges, and its sign
 * stays within the middle.
 */
const FULL = SVG.replace(/ rx="9"/, "").replace(
  "<g ",
  '<g transform="translate(3.2 3.2) scale(0.8)" ',
);

const ICONS = [
  ["icon-192.png", 192, SVG],
  ["icon-512.png", 512, SVG],
  ["icon-maskable-512.png", 512, FULL],
  ["apple-touch-icon.png", 180, FULL],
];

const browser = await launch("chromium without WebGPU");
try {
  const tab = await browser.newPage();
  for (const [name, size, svg] of ICONS) {
    await tab.setViewport({ width: size, height: size });
    await tab.setContent(
      "<style>html, body { margin: 0; background: transparent } svg { display: block; width: " +
        `100vw }</style>${svg}`,
    );
    await tab.screenshot({ path: fileURLToPath(new URL(name, PUBLIC)), omitBackground: true });
  }
} finally {
  await browser.close();
}
