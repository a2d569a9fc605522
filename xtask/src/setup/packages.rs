//! Packages of the system: installed on Debian and its kin, asked for elsewhere.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::sh;

struct Package {
    debian: &'static str,
    why: &'static str,
    /// Any of these on the PATH will do; none for a library, which only Debian's own list tells of.
    programs: &'static [&'static str],
}

const CHROMIUM: Package = Package {
    debian: "chromium",
    why: "the page and the wasm tests run in it",
    programs: &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"],
};

const BROWSERS: [Package; 6] = [
    CHROMIUM,
    Package {
        debian: "firefox-esr",
        why: "the page and tests of the GPU run in it too",
        programs: &["firefox-esr", "firefox"],
    },
    Package {
        debian: "webkit2gtk-driver",
        why: "WebKit: the page runs in it too, as in Safari",
        programs: &["WebKitWebDriver"],
    },
    Package {
        debian: "xvfb",
        why: "a screen for WebKit, which has no headless mode",
        programs: &["Xvfb"],
    },
    Package { debian: "libvulkan1", why: "WebGPU's way to any GPU", programs: &[] },
    Package {
        debian: "mesa-vulkan-drivers",
        why: "lavapipe, the GPU of machines that have none",
        programs: &[],
    },
];

/// Every browser of the tests, and a GPU for them.
pub fn browsers() -> Result<()> {
    ensure(&BROWSERS)
}

/// The browser of `demo --ask`.
pub fn chromium() -> Result<()> {
    ensure(&[CHROMIUM])
}

/// What wasm-pack drives Chromium through.
pub fn chromedriver() -> Result<()> {
    ensure(&[Package {
        debian: "chromium-driver",
        why: "wasm-pack's tests drive Chromium through it",
        programs: &["chromedriver"],
    }])
}

/// What runs a command in a root that has nothing else, and what a model programs.
pub fn bubblewrap() -> Result<()> {
    ensure(&[Package {
        debian: "bubblewrap",
        why: "a release's command is tested in an empty root, a model's programs in a sandbox",
        programs: &["bwrap"],
    }])
}

/// The nginx that a release's app is tested under: the system's, or Debian's unpacked into the
/// cache, for the package would start a server.
pub fn nginx(place: &Place) -> Result<PathBuf> {
    let folder = place.tool("nginx", "debian");
    let unpacked = folder.join("usr/sbin/nginx");
    let there = [PathBuf::from("/usr/sbin/nginx"), unpacked.clone()]
        .into_iter()
        .find(|program| program.is_file());
    if let Some(program) = sh::find(&["nginx"]).or(there) {
        return Ok(program);
    }
    ensure_debian("nginx")?;
    eprintln!(
        "Missing: nginx (a release's app is tested under it). Unpacking Debian's into the cache."
    );
    fs::create_dir_all(&folder).context("the cache cannot be written")?;
    sh::run(&mut as_root(&["update"]))?;
    sh::run(Command::new("apt-get").args(["download", "nginx"]).current_dir(&folder))?;
    sh::run(
        Command::new("sh").args(["-c", "dpkg-deb --extract nginx_*.deb ."]).current_dir(&folder),
    )?;
    Ok(unpacked)
}

pub(super) fn node() -> Result<()> {
    ensure(&[
        Package { debian: "nodejs", why: "the page's bundler runs on it", programs: &["node"] },
        Package { debian: "npm", why: "it fetches the page's bundler", programs: &["npm"] },
    ])
}

pub(super) fn python() -> Result<()> {
    if sh::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        return Ok(());
    }
    ensure(&[Package { debian: "python3-venv", why: "pip fetches the demo model", programs: &[] }])
}

/// For a package that pip builds.
pub(super) fn compiler() -> Result<()> {
    ensure(&[Package {
        debian: "g++",
        why: "it compiles llama.cpp",
        programs: &["c++", "g++", "clang++"],
    }])
}

fn ensure(packages: &[Package]) -> Result<()> {
    let debian = is_debian();
    let missing: Vec<&Package> =
        packages.iter().filter(|package| !is_there(package, debian)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        eprintln!("Missing: {} ({}).", package.debian, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.debian).collect();
    ensure_debian(&names.join(", "))?;
    eprintln!("Installing with apt-get.");
    sh::run(&mut as_root(&["update"]))?;
    sh::run(as_root(&["install", "--yes", "--no-install-recommends"]).args(names))
}

fn is_debian() -> bool {
    sh::find(&["dpkg-query"]).is_some() && sh::find(&["apt-get"]).is_some()
}

fn ensure_debian(names: &str) -> Result<()> {
    if !is_debian() {
        bail!(
            "install what this system calls {names}: only Debian's packages can be installed from \
                here"
        );
    }
    Ok(())
}

fn is_there(package: &Package, debian: bool) -> bool {
    if sh::find(package.programs).is_some() {
        return true;
    }
    let status = || {
        sh::output(Command::new("dpkg-query").args([
            "--show",
            "--showformat=${db:Status-Status}",
            package.debian,
        ]))
    };
    // A library elsewhere shows itself when a browser or wgpu finds no adapter.
    if debian {
        status().is_ok_and(|status| status == "installed")
    } else {
        package.programs.is_empty()
    }
}

fn as_root(arguments: &[&str]) -> Command {
    let root = sh::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.arg("apt-get");
    }
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}
