#!/bin/sh
# One would guess that "found 0 vulnerabilities" is what the registry said, and that `npm audit` fails where it cannot be asked.
# Where all dependencies are development ones, `npm audit --omit=dev` asks nobody: an app that bundles what it ships, and lists that beside
# its bundler, hears that there is nothing, whatever it ships, also from a registry that is not there.
# npm 11.19.1 with Node.js 20.20.2, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
audit() { npm audit --omit=dev --registry=http://127.0.0.1:9 --fetch-retries=0 2>&1 || echo "failed"; }
echo '{ "name": "app", "version": "1.0.0", "devDependencies": { "marked": "18.2.1" } }' > package.json
npm install --package-lock-only --no-audit --silent
development=$(audit)
echo '{ "name": "app", "version": "1.0.0", "dependencies": { "marked": "18.2.1" } }' > package.json
npm install --package-lock-only --no-audit --silent
shipped=$(audit)
echo "npm $(npm --version), no registry, a development dependency: $development"
echo "npm $(npm --version), no registry, a dependency: $shipped"
case "$development" in *"found 0 vulnerabilities"*) ;; *) echo "this has changed"; exit 1 ;; esac
case "$shipped" in *failed) ;; *) echo "this has changed"; exit 1 ;; esac
