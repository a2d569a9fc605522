"""Runs a WASI module under wasmtime: `python tests/wasi/run.py MODULE.wasm ARGS…`, with the same
view of files as run.mjs."""

import os
import sys

import wasmtime

path, *args = sys.argv[1:]
wasi = wasmtime.WasiConfig()
wasi.argv = [path, *args]
wasi.env = list({**os.environ, "PHI_HOST": "wasmtime"}.items())
wasi.preopen_dir(os.getcwd(), ".")
wasi.preopen_dir("/", "/")
wasi.inherit_stdin()
wasi.inherit_stdout()
wasi.inherit_stderr()

engine = wasmtime.Engine()
store = wasmtime.Store(engine)
store.set_wasi(wasi)
linker = wasmtime.Linker(engine)
linker.define_wasi()
instance = linker.instantiate(store, wasmtime.Module.from_file(engine, path))
try:
    instance.exports(store)["_start"](store)
except wasmtime.ExitTrap as ended:
    sys.exit(ended.code)
