//! Where things are: the checkout, the target directory, the cache outside the checkout.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::sh;

/// The wasm-pack that is tested with.
pub const WASM_PACK_VERSION: &str = "0.15.1";

/// The directories that every chore works in.
pub struct Place {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// What outlives a checkout: tools and the demo model. `PHI_WASM_CACHE`, or
    /// `~/.cache/phi-wasm`.
    pub cache: PathBuf,
    /// The wasm-bindgen of Cargo.lock: the command must be of exactly this version.
    pub wasm_bindgen_version: String,
}

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
}

impl Place {
    pub fn find() -> Result<Place> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("the xtask folder has no parent")?.to_path_buf();
        let metadata = sh::output(
            Command::new("cargo")
                .args(["metadata", "--no-deps", "--format-version=1"])
                .current_dir(&root),
        )?;
        let metadata: Metadata =
            serde_json::from_str(&metadata).context("cargo metadata gave something unexpected")?;
        let wasm_bindgen_version = locked_version(&root, "wasm-bindgen")?;
        Ok(Place { wasm_bindgen_version, root, target: metadata.target_directory, cache: cache()? })
    }

    /// Another checkout, with the same cache and a target directory of its own.
    pub fn elsewhere(&self, root: PathBuf) -> Result<Place> {
        let wasm_bindgen_version = locked_version(&root, "wasm-bindgen")
            .with_context(|| format!("in {}", root.display()))?;
        Ok(Place {
            target: root.join("target"),
            root,
            cache: self.cache.clone(),
            wasm_bindgen_version,
        })
    }

    pub fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    pub fn model(&self) -> PathBuf {
        self.cache.join(crate::setup::model::FILE)
    }

    /// That model, rotated: what quantisers are measured on.
    pub fn rotated_model(&self) -> PathBuf {
        self.cache.join(crate::setup::model::ROTATED)
    }

    /// Where `cargo install` put a tool of this version.
    pub fn tool(&self, name: &str, version: &str) -> PathBuf {
        self.cache.join("tools").join(format!("{name}-{version}"))
    }

    pub fn wasm_bindgen(&self) -> PathBuf {
        self.tool("wasm-bindgen", &self.wasm_bindgen_version).join("bin")
    }

    pub fn wasm_pack(&self) -> PathBuf {
        self.tool("wasm-pack", WASM_PACK_VERSION).join("bin")
    }

    /// The Python that pip installs into.
    pub fn python(&self) -> PathBuf {
        self.cache.join("tools/python/bin/python")
    }

    /// A command in the root, with our tools before everybody's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = env::var_os("PATH").unwrap_or_default();
        let ours =
            [self.wasm_bindgen(), self.wasm_pack()].into_iter().chain(env::split_paths(&path));
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("PATH", env::join_paths(ours).unwrap_or(path));
        // Mesa's drivers complain in a line for each device where nobody is logged in.
        command.env(
            "XDG_RUNTIME_DIR",
            env::var_os("XDG_RUNTIME_DIR").unwrap_or_else(|| env::temp_dir().into()),
        );
        command
    }

    /// Cargo, building into this very target directory, whatever the environment names.
    pub fn cargo(&self) -> Command {
        let mut cargo = self.command("cargo");
        cargo.env("CARGO_TARGET_DIR", &self.target);
        cargo
    }
}

fn cache() -> Result<PathBuf> {
    let given = env::var_os("PHI_WASM_CACHE").map(PathBuf::from);
    let cache = match given {
        Some(cache) => cache,
        None => env::home_dir()
            .context("no home directory for the cache: name a folder in PHI_WASM_CACHE")?
            .join(".cache/phi-wasm"),
    };
    fs::create_dir_all(&cache)
        .with_context(|| format!("cannot make the cache folder {}", cache.display()))?;
    cache
        .canonicalize()
        .with_context(|| format!("cannot open the cache folder {}", cache.display()))
}

fn locked_version(root: &Path, name: &str) -> Result<String> {
    let text = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock cannot be read")?;
    let lock: Lock = toml::from_str(&text).context("Cargo.lock is not what Cargo writes")?;
    let found = lock.package.into_iter().find(|package| package.name == name);
    Ok(found.with_context(|| format!("{name} is not in Cargo.lock"))?.version)
}
