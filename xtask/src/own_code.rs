//! The compiler for the workspace's own code, which some modules give instructions that libraries
//! do without: so those are compiled once for several modules.
//!
//! Cargo has such a compiler for a path (`RUSTC_WORKSPACE_WRAPPER`), and tells what it made by that
//! path from what others did. The path here is this program under another name, which is the
//! instructions.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// What such a name ends with.
const ENDING: &str = ".rustc";

/// The path of a compiler, in a target directory, that has these target features beside those of
/// cargo's flags.
pub fn compiler(target: &Path, features: &str) -> Result<PathBuf> {
    fs::create_dir_all(target).with_context(|| format!("cannot make {}", target.display()))?;
    let path = target.join(format!("{features}{ENDING}"));
    // What lies there may be of an older one.
    let _ = fs::remove_file(&path);
    let program = env::current_exe().context("this program's own file is not known")?;
    fs::hard_link(&program, &path)
        .or_else(|_| fs::copy(&program, &path).map(drop))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Where this program was started as such a compiler: what came of it.
pub fn compile() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    let features = features(&arguments.next()?)?;
    let done = Command::new(arguments.next()?)
        .args(arguments)
        .arg(format!("-Ctarget-feature={features}"))
        .status();
    match done {
        Ok(status) => Some(ExitCode::from(status.code().map_or(1, |code| code as u8))),
        Err(error) => {
            eprintln!("error: rustc cannot be started: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// The target features of a compiler's name.
fn features(name: &OsString) -> Option<String> {
    let features = Path::new(name).file_name()?.to_str()?.strip_suffix(ENDING)?;
    Some(features.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_features() {
        let told = |name: &str| features(&OsString::from(name));
        assert_eq!(told("target/+relaxed-simd.rustc").as_deref(), Some("+relaxed-simd"));
        assert_eq!(told("target/debug/xtask"), None);
    }
}
