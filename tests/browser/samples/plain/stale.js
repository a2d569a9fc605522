// A worker's script that an earlier version of the package might have left on a server.
self.postMessage({ kind: "hello", version: "0.0.1+earlier" });
