//! `dist/`: what people get who have no Rust. It is made beside its place and moved there when it
//! is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::{build, setup, sh};

/// The oldest glibc that the native command starts with: Debian 10 and RHEL 8 have it.
const GLIBC: (u32, u32) = (2, 28);

/// What differs between the native command and the WASI module.
struct Build {
    target: &'static str,
    features: &'static str,
    /// Beside those that hide this machine's folders.
    rustflags: &'static [&'static str],
    /// The oldest that it starts with, where it needs one.
    glibc: Option<(u32, u32)>,
    file: &'static str,
    readme: &'static str,
}

const NATIVE: Build = Build {
    target: "x86_64-unknown-linux-gnu",
    features: "cli,gpu",
    rustflags: &[],
    glibc: Some(GLIBC),
    file: "phi",
    readme: include_str!("../release/native.md"),
};
/// Binaryen would make it 1 % smaller to download and no faster, in minutes.
const WASI: Build = Build {
    target: "wasm32-wasip1",
    features: "cli",
    // As .cargo/config.toml has it.
    rustflags: &["-Ctarget-feature=+simd128"],
    glibc: None,
    file: "phi.wasm",
    readme: include_str!("../release/wasi.md"),
};
/// What is in the app's service worker: the bundler writes the licences of the other scripts, and
/// not of that one.
const SERVICE_WORKER: [&str; 4] =
    ["workbox-core", "workbox-precaching", "workbox-routing", "workbox-strategies"];
const NOTES: &str = include_str!("../release/notes.md");

/// Builds everything and writes dist/.
pub fn make(place: &Place) -> Result<()> {
    // What is missing there is said before all that takes long.
    news(place, &version(place)?)?;
    setup::for_build(place)?;
    build::modules(place)?;
    build::package(place)?;
    write(place)
}

/// Writes dist/ anew, of the modules and the package that are built, and uses it as people do.
pub fn test(place: &Place) -> Result<()> {
    setup::chromium()?;
    setup::bubblewrap()?;
    setup::model::fetch(place)?;
    let nginx = setup::nginx(place)?;
    write(place)?;
    let mut node = place.command("node");
    node.args(["--test", "--test-reporter=spec", "tests/release/release.test.mjs"]);
    sh::show(
        node.env("PHI_DIST", place.root.join("dist"))
            .env("PHI_SMOLLM2", place.model())
            .env("PHI_NGINX", nginx),
    )
}

fn write(place: &Place) -> Result<()> {
    let version = version(place)?;
    let news = news(place, &version)?;
    setup::zigbuild(place)?;
    let [dist, new] = ["dist", "dist.new"].map(|name| place.root.join(name));
    remove(&new)?;
    fs::create_dir(&new).context("the checkout cannot be written")?;
    let fill = Fill { place, new: &new, version: &version };
    fill.app()?;
    fill.package()?;
    fill.command(&NATIVE, &format!("linux-x86_64-glibc{}.{}", GLIBC.0, GLIBC.1))?;
    fill.command(&WASI, "wasi")?;
    fill.text("NOTES.md", &NOTES.replace("{news}", &news))?;
    fs::write(new.join("SHA256SUMS"), checksums(&new)?)?;
    remove(&dist)?;
    fs::rename(&new, &dist).context("the release cannot be moved to dist/")?;
    eprintln!("dist/ holds the release {version}: NOTES.md says what is what");
    Ok(())
}

/// A release on its way.
struct Fill<'a> {
    place: &'a Place,
    new: &'a Path,
    version: &'a str,
}

impl Fill<'_> {
    /// The app, built for a host that has no models, without the bare pages for tests.
    fn app(&self) -> Result<()> {
        let app = self.new.join("app");
        let mut vite = self.place.command(self.place.web().join("node_modules/.bin/vite"));
        vite.args([
            "build",
            "--config=app/vite.config.ts",
            "--mode=release",
            "--logLevel=warn",
            "--outDir",
        ])
        .arg(&app);
        sh::run(vite.current_dir(self.place.web()))?;
        self.licences(&app, "wasm32-unknown-unknown", "gpu,web", &SERVICE_WORKER)?;
        sh::run(self.place.command("node").arg("web/tools/host-files.mjs").arg(&app))?;
        let name = format!("phi-{}-app", self.version);
        self.archive(&name, &["app", "nginx.conf"], &format!("--transform=s,^,{name}/,"))
    }

    /// The tarball of the npm package.
    fn package(&self) -> Result<()> {
        let name = format!("phi-wasm-{}.tgz", self.version);
        fs::copy(self.place.root.join("pkg").join(&name), self.new.join(&name))
            .with_context(|| format!("pkg/{name} cannot be copied"))?;
        Ok(())
    }

    /// The command, with its licences and a page that tells what to do with it.
    fn command(&self, build: &Build, kind: &str) -> Result<()> {
        let program = compile(self.place, build)?;
        let name = format!("phi-{}-{kind}", self.version);
        let folder = self.new.join(&name);
        fs::create_dir(&folder)?;
        fs::copy(&program, folder.join(build.file))
            .with_context(|| format!("{} cannot be copied", program.display()))?;
        self.text(&format!("{name}/README.md"), build.readme)?;
        self.licences(&folder, build.target, build.features, &[])?;
        self.archive(&name, &[&name], "--remove-files")
    }

    fn licences(
        &self,
        folder: &Path,
        target: &str,
        features: &str,
        modules: &[&str],
    ) -> Result<()> {
        sh::run(
            self.place
                .command("node")
                .arg("web/tools/licences.mjs")
                .arg(folder)
                .args([target, features])
                .args(modules),
        )
    }

    fn text(&self, file: &str, template: &str) -> Result<()> {
        let text = template
            .replace("{version}", self.version)
            .replace("{glibc}", &format!("{}.{}", GLIBC.0, GLIBC.1));
        fs::write(self.new.join(file), text).with_context(|| format!("{file} cannot be written"))
    }

    /// Packs files, into the same bytes whoever does it and when: npm dates what it packs so, too.
    fn archive(&self, name: &str, files: &[&str], option: &str) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u=rwX,go=rX",
            "--mtime=1985-10-26 08:15:00Z",
            option,
        ]);
        tar.args([
            "--use-compress-program=gzip -9n",
            "--create",
            "--file",
            &format!("{name}.tar.gz"),
        ])
        .args(files);
        sh::run(tar.current_dir(self.new))
    }
}

/// What cargo makes of the command, without symbols.
fn compile(place: &Place, build: &Build) -> Result<PathBuf> {
    let (mut cargo, target) = match build.glibc {
        Some((major, minor)) => (zigbuild(place), format!("{}.{major}.{minor}", build.target)),
        None => (place.command("cargo"), build.target.to_owned()),
    };
    cargo.arg(if build.glibc.is_some() { "zigbuild" } else { "build" });
    cargo.args(["--release", "--locked", "--bin=phi", "--no-default-features"]);
    cargo.args([format!("--features={}", build.features), format!("--target={target}")]);
    let rustflags = build
        .rustflags
        .iter()
        .map(ToString::to_string)
        .chain(build::unnamed(place)?)
        .collect::<Vec<_>>();
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\x1f"))
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    sh::run(&mut cargo)?;
    let program = place.target.join(build.target).join("release").join(build.file);
    if let Some(oldest) = build.glibc {
        check_glibc(
            &fs::read(&program).with_context(|| format!("{} cannot be read", program.display()))?,
            oldest,
        )?;
    }
    Ok(program)
}

fn zigbuild(place: &Place) -> Command {
    let mut command = place.command(place.python().with_file_name("cargo-zigbuild"));
    command.env("CARGO_ZIGBUILD_PYTHON_PATH", place.python());
    command
}

/// Fails where a program needs a newer glibc. The versions of symbols that it asks for stand in it
/// as texts.
fn check_glibc(program: &[u8], oldest: (u32, u32)) -> Result<()> {
    let texts = program
        .split(|byte| *byte == 0)
        .filter_map(|text| std::str::from_utf8(text).ok()?.strip_prefix("GLIBC_"));
    let versions = texts.filter_map(|version| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
    });
    let newest: (u32, u32) = versions.max().context("the command names no version of glibc")?;
    ensure!(
        newest <= oldest,
        "the command asks for glibc {}.{}, where {}.{} is promised to be enough",
        newest.0,
        newest.1,
        oldest.0,
        oldest.1
    );
    Ok(())
}

fn version(place: &Place) -> Result<String> {
    let text =
        fs::read_to_string(place.root.join("Cargo.toml")).context("Cargo.toml cannot be read")?;
    let manifest: toml::Table = toml::from_str(&text).context("Cargo.toml")?;
    let version = manifest.get("package").and_then(|package| package.get("version")?.as_str());
    Ok(version.context("Cargo.toml names no version")?.to_owned())
}

/// What CHANGELOG.md says of a version, or of what comes next where that has no section yet.
fn news(place: &Place, version: &str) -> Result<String> {
    let text = fs::read_to_string(place.root.join("CHANGELOG.md"))
        .context("CHANGELOG.md cannot be read: a release's notes are taken from it")?;
    for name in [version, "Unreleased"] {
        let mut sections = text.split("\n## ");
        if let Some((_, news)) = sections
            .find(|section| section.starts_with(&format!("[{name}]")))
            .and_then(|section| section.split_once('\n'))
        {
            // Below the last one are the addresses of all versions.
            return Ok(news.split("\n[").next().unwrap_or(news).trim().to_owned());
        }
    }
    bail!("CHANGELOG.md has no section \"## [{version}]\": write what is new in it")
}

/// A line for every file, as sha256sum reads them.
fn checksums(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    files.sort();
    let mut lines = String::new();
    for file in files {
        let digest = Sha256::digest(fs::read(&file)?);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        lines += &format!("{hex}  {}\n", file.strip_prefix(folder)?.display());
    }
    Ok(lines)
}

fn list(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for item in
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let path = item?.path();
        if path.is_dir() { list(&path, into)? } else { into.push(path) }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_glibc_is_found_out() {
        let rows: [(&[u8], bool); 6] = [
            (b"libc.so.6\0GLIBC_2.2.5\0GLIBC_2.28\0", true),
            (b"libc.so.6\0GLIBC_2.2.5\0GLIBC_2.29\0", false),
            (b"\0GLIBC_2.3.4\0GLIBC_2.34\0GLIBC_2.4\0", false),
            (b"\0GLIBC_3.0\0", false),
            (b"\0GLIBC_PRIVATE\0", false),
            (b"a program that is linked statically", false),
        ];
        for (program, passes) in rows {
            assert_eq!(
                check_glibc(program, (2, 28)).is_ok(),
                passes,
                "{}",
                String::from_utf8_lossy(program)
            );
        }
    }
}
