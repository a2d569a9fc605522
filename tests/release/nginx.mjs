// nginx with a release's snippet, as a host has it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Serves a folder under the snippet; `program` is nginx. */
export async function serveByNginx(program, folder, snippet) {
  const own = mkdtempSync(join(tmpdir(), "phi-nginx-"));
  const [host, port] = await freeAddress();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${own}/${kind};`,
  );
  const configuration = `
    daemon off;
    pid ${own}/pid;
    error_log stderr notice;
    ${process.getuid() === 0 ? "user root;" : ""}
    events {}
    http {
      access_log off;
      ${temporary.join("\n")}
      server {
        listen ${host}:${port};
        root ${folder};
        include ${snippet};
      }
    }`;
  writeFileSync(join(own, "nginx.conf"), configuration);
  const server = spawn(program, ["-p", own, "-e", "stderr", "-c", join(own, "nginx.conf")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(server, "exit");
  const said = [];
  const lines = createInterface({ input: server.stderr });
  const started = new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      said.push(line);
      if (line.includes("start worker process ")) resolve();
    });
    void ended.then(() => reject(new Error(`nginx ended: ${said.join("\n")}`)), reject);
  });
  await started;
  const close = async () => {
    server.kill();
    await ended;
    rmSync(own, { recursive: true });
  };
  return { address: `http://${host}:${port}/`, said, close };
}

/**
 * nginx must be told its port. Nobody else takes one on an address that is this process's own among
 * those of this machine.
 */
async function freeAddress() {
  const { pid } = process;
  const host = `127.${1 + (pid >> 16)}.${(pid >> 8) & 255}.${1 + (pid & 127)}`;
  const probe = createServer().listen(0, host);
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return [host, port];
}
