//! pkg/ and web/dist: cargo, wasm-bindgen, wasm-opt, vite.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::{imports, own_code, setup, sh};

/// `wasm-pack.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Plan {
    /// For every build, and all its crates.
    rustflags: Vec<String>,
    wasm_opt: Vec<String>,
    build: Vec<Variant>,
}

/// One of its builds: a folder in pkg/.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Variant {
    name: String,
    target_features: String,
    /// What our own code may use beyond that; libraries have no use for it.
    own_features: Option<String>,
    /// The package that is linked, where that is not the engine's.
    package: Option<String>,
    #[serde(default)]
    threads: bool,
    #[serde(default)]
    wasm_opt: Vec<String>,
}

/// What wasm-bindgen asks of a module with threads: a memory that comes from outside and is shared,
/// and the linker's names for what each thread has of its own. A shared memory must say how far it
/// may grow; other memories grow to 4 GiB without being told.
const THREADS: [&str; 7] = [
    "--shared-memory",
    "--import-memory",
    "--max-memory=4294967296",
    "--export=__wasm_init_tls",
    "--export=__tls_size",
    "--export=__tls_align",
    "--export=__tls_base",
];

impl Variant {
    /// Whether it is an engine.
    fn is_engine(&self) -> bool {
        self.package.is_none()
    }

    fn package(&self) -> &str {
        self.package.as_deref().unwrap_or("phi-wasm-module")
    }

    /// What the files of its module are called.
    fn out_name(&self) -> String {
        format!("phi_{}", if self.is_engine() { "wasm" } else { &self.name })
    }
}

/// The names of the engine's modules.
pub fn variants(place: &Place) -> Result<Vec<String>> {
    let builds = plan(place)?.build.into_iter();
    Ok(builds.filter(Variant::is_engine).map(|variant| variant.name).collect())
}

fn plan(place: &Place) -> Result<Plan> {
    let text = fs::read_to_string(place.root.join("wasm-pack.toml"))
        .context("wasm-pack.toml cannot be read")?;
    toml::from_str(&text).context("wasm-pack.toml")
}

/// Builds everything that the page needs.
pub fn all(place: &Place) -> Result<()> {
    setup::for_build(place)?;
    modules(place)?;
    site(place)
}

/// The wasm modules. Those with threads beside those without, whose target directories differ: for
/// most of its time a build keeps one core busy, no more.
pub fn modules(place: &Place) -> Result<()> {
    let plan = plan(place)?;
    let some = |threads| {
        plan.build
            .iter()
            .filter(move |variant| variant.threads == threads)
            .try_for_each(|variant| module(place, &plan, variant))
    };
    sh::both(|| some(false), || some(true))?;
    for variant in &plan.build {
        let wasm = wasm_of(place, variant);
        eprintln!(
            "{}: {:.2} MB",
            wasm.strip_prefix(&place.root).unwrap_or(&wasm).display(),
            fs::metadata(&wasm)?.len() as f64 / 1e6
        );
    }
    Ok(())
}

/// web/dist, of all modules.
pub fn site(place: &Place) -> Result<()> {
    sh::run(place.command("npm").args(["run", "--silent", "build"]).current_dir(place.web()))?;
    eprintln!("web/dist: {:.2} MB in all", size_of_tree(&place.web().join("dist"))? as f64 / 1e6);
    Ok(())
}

/// The npm package, of all modules: pkg/npm, and its tarball beside it.
pub fn package(place: &Place) -> Result<()> {
    sh::show(place.command("npm").args(["run", "--silent", "pack"]).current_dir(place.web()))
}

/// web/dist with the module that every browser runs, and with those of the others that are built
/// already. `downloads` goes on meanwhile.
pub fn demo(place: &Place, downloads: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    let plan = plan(place)?;
    let first = plan.build.first().context("wasm-pack.toml lists no build")?;
    setup::for_browsers()?;
    // The tool that comes after the compiler is compiled where that keeps one core busy only.
    let others = || plan.build.iter().filter(|variant| !variant.is_engine());
    let compiled = || {
        std::iter::once(first)
            .chain(others())
            .filter(|variant| !is_fresh(place, &plan, variant))
            .try_for_each(|variant| compile(place, &plan, variant).map(drop))
    };
    sh::both(
        || sh::both(compiled, || setup::wasm_bindgen(place)),
        || setup::for_site(place).and_then(|()| downloads()),
    )?;
    module(place, &plan, first)?;
    others().try_for_each(|variant| module(place, &plan, variant))?;
    let engines: Vec<_> = plan.build.iter().filter(|variant| variant.is_engine()).collect();
    let built: Vec<&str> = engines
        .iter()
        .filter(|variant| is_fresh(place, &plan, variant))
        .map(|variant| &*variant.name)
        .collect();
    if built.len() < engines.len() {
        eprintln!(
            "The page has the modules that are built: {}. `cargo xtask build` builds all, faster \
                ones with threads among them.",
            built.join(", ")
        );
    }
    sh::run(
        place
            .command("npm")
            .args(["run", "--silent", "bundle"])
            .env("PHI_MODULES", built.join(","))
            .current_dir(place.web()),
    )
}

/// One wasm module with its JavaScript and types.
fn module(place: &Place, plan: &Plan, variant: &Variant) -> Result<()> {
    if is_fresh(place, plan, variant) {
        return Ok(());
    }
    let out = place.root.join("pkg").join(&variant.name);
    let wasm = wasm_of(place, variant);
    let options = [&plan.wasm_opt[..], &variant.wasm_opt].concat();
    let [files, stamp] = notes(place, variant);
    fs::write(&stamp, "").context("the target directory cannot be written")?;
    let start = SystemTime::now();
    let built = compile(place, plan, variant)?;
    fs::copy(built.with_extension("d"), &files)
        .context("cargo's list of source files cannot be copied")?;
    let mut bindgen = place.command("wasm-bindgen");
    let name = variant.out_name();
    let out_name = format!("--out-name={name}");
    sh::run(bindgen.args(["--target=web", &out_name, "--out-dir"]).arg(&out).arg(&built))?;
    imports::rename(&wasm, &out.join(format!("{name}.js")))?;
    let smaller = out.join("optimised.wasm");
    let wasm_opt = place.web().join("node_modules/.bin/wasm-opt");
    sh::run(place.command(wasm_opt).args(&options).arg(&wasm).arg("--output").arg(&smaller))?;
    fs::rename(&smaller, &wasm).context("the optimised module cannot be moved into place")?;
    // What was edited meanwhile may or may not be in the module.
    let edited = |file: &PathBuf| {
        fs::metadata(file).and_then(|about| about.modified()).is_ok_and(|time| time >= start)
    };
    match digest(place, &recipe(plan, variant), &files) {
        Some(made_from) if !sources(&files).unwrap_or_default().iter().any(edited) => {
            fs::write(&stamp, made_from).context("the target directory cannot be written")
        }
        _ => Ok(()),
    }
}

/// Whether a module is as its sources are. Cargo keeps one for all variants that share a target
/// directory, so it cannot tell.
fn is_fresh(place: &Place, plan: &Plan, variant: &Variant) -> bool {
    let [files, stamp] = notes(place, variant);
    let made_from = fs::read_to_string(stamp).ok();
    wasm_of(place, variant).is_file()
        && made_from.is_some_and(|made_from| {
            digest(place, &recipe(plan, variant), &files) == Some(made_from)
        })
}

/// Where it is noted which files a module was made from, and the digest of them: beside the
/// modules, since checkouts may share a target directory.
fn notes(place: &Place, variant: &Variant) -> [PathBuf; 2] {
    ["d", "made-from"].map(|kind| place.root.join(format!("pkg/.{}.{kind}", variant.name)))
}

/// How a module is made.
fn recipe(plan: &Plan, variant: &Variant) -> String {
    format!("{variant:?} {:?} {:?} {THREADS:?}", plan.rustflags, plan.wasm_opt)
}

/// Of all that a variant is made from: the recipe, the compiler, the libraries, and the source
/// files that cargo listed. `None` when one is gone.
fn digest(place: &Place, recipe: &str, files: &Path) -> Option<String> {
    let mut hasher = Sha256::new();
    hasher.update(recipe);
    hasher.update(sh::output(place.command("rustc").arg("-vV")).ok()?);
    for file in [
        "Cargo.toml",
        "Cargo.lock",
        "core/Cargo.toml",
        "grammars/Cargo.toml",
        "module/Cargo.toml",
        "web/package-lock.json",
    ] {
        hasher.update(fs::read(place.root.join(file)).ok()?);
    }
    for file in sources(files)? {
        hasher.update(file.as_os_str().as_encoded_bytes());
        hasher.update(fs::read(&file).ok()?);
    }
    Some(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The files in cargo's list: `module: file file …`, with a backslash before a space that belongs
/// to a name.
fn sources(list: &Path) -> Option<Vec<PathBuf>> {
    let list = fs::read_to_string(list).ok()?.replace("\\ ", "\0");
    let (_, files) = list.lines().next()?.split_once(": ")?;
    Some(files.split(' ').map(|file| PathBuf::from(file.replace('\0', " "))).collect())
}

/// What cargo makes of a variant.
fn compile(place: &Place, plan: &Plan, variant: &Variant) -> Result<PathBuf> {
    let mut cargo = place.command("cargo");
    cargo.args(["rustc", "--profile=browser", "--target=wasm32-unknown-unknown"]);
    cargo.arg("--package").arg(variant.package());
    let flags = [
        &plan.rustflags[..],
        &[format!("-Ctarget-feature={}", variant.target_features)],
        &unnamed(place)?,
    ]
    .concat();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    // The standard library is compiled, too: threads need one that knows them, and every module is
    // 14 KB smaller after brotli where it is compiled to be small. That has directories of its own:
    // build scripts that look for RUSTC_BOOTSTRAP would make cargo compile everything anew at each
    // change.
    let target = place.target.join(if variant.threads { "threads" } else { "std" });
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.arg("-Zbuild-std=std,panic_abort").arg("--target-dir").arg(&target);
    if let Some(features) = &variant.own_features {
        cargo.env("RUSTC_WORKSPACE_WRAPPER", own_code::compiler(&target, features)?);
    }
    cargo.arg("--");
    if variant.threads {
        cargo.args(THREADS.map(|argument| format!("-Clink-arg={argument}")));
    }
    sh::run(&mut cargo)?;
    let file = format!("{}.wasm", variant.package().replace('-', "_"));
    Ok(target.join("wasm32-unknown-unknown/browser").join(file))
}

/// Flags that keep this machine's folders out of the names of source files, which panics tell.
pub fn unnamed(place: &Place) -> Result<[String; 2]> {
    let sysroot = sh::output(place.command("rustc").args(["--print=sysroot"]))?;
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let registry = cargo_home.context("there is no home directory")?.join("registry/src");
    Ok([
        format!("--remap-path-prefix={}=rust", sysroot.trim()),
        format!("--remap-path-prefix={}=crates", registry.display()),
    ])
}

fn wasm_of(place: &Place, variant: &Variant) -> PathBuf {
    let file = format!("{}_bg.wasm", variant.out_name());
    place.root.join("pkg").join(&variant.name).join(file)
}

fn size_of_tree(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for item in
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let item = item?;
        let about = item.metadata()?;
        size += if about.is_dir() { size_of_tree(&item.path())? } else { about.len() };
    }
    Ok(size)
}
