//! An earlier commit, checked out and built in the cache, where its build is kept.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Options, phi};
use crate::place::Place;
use crate::{setup, sh};

/// A commit, by its full hash.
pub struct Commit {
    pub hash: String,
    pub subject: String,
}

impl Commit {
    /// What git takes the name for.
    pub fn find(place: &Place, name: &str) -> Result<Commit> {
        if sh::find(&["git"]).is_none() {
            bail!("git is not on the PATH: it checks out the commit that --against names");
        }
        let commit = format!("{name}^{{commit}}");
        let Ok(hash) = sh::output(git(place).args([
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ])) else {
            bail!(
                "--against: there is no commit \"{name}\" in {}: `git log` shows what is there, \
                    `git fetch` brings more",
                place.root.display()
            );
        };
        let hash = hash.trim().to_owned();
        let subject = sh::output(git(place).args(["show", "--no-patch", "--format=%s", &hash]))?
            .trim()
            .to_owned();
        Ok(Commit { hash, subject })
    }

    /// Its hash as people write it.
    pub fn short(&self) -> &str {
        self.hash.get(..10).unwrap_or(&self.hash)
    }

    /// Builds what is timed of it, unless that was done before; says where.
    pub fn build(&self, place: &Place, options: &Options) -> Result<Place> {
        let all = place.cache.join("against");
        fs::create_dir_all(&all).with_context(|| format!("{} cannot be made", all.display()))?;
        let root = all.join(&self.hash);
        eprintln!(
            "{} ({}) is what this checkout is held against: built in {}, once.",
            self.short(),
            self.subject,
            root.display()
        );
        // Whoever else builds the same commit waits here; a process that is killed leaves no lock
        // behind.
        let _lock = lock(&all.join(format!("{}.lock", self.hash)))?;
        self.check_out(place, &root)?;
        let earlier = place.elsewhere(root)?;
        sh::run(&mut phi(&earlier))?;
        if options.wasi {
            sh::run(phi(&earlier).arg("--target=wasm32-wasip1"))?;
        }
        if options.browser {
            setup::chromium()?;
            // Its own chore: what the modules are built with may have been something else then.
            sh::run(
                earlier.cargo().args(["xtask", "build"]).env("PHI_WASM_CACHE", &earlier.cache),
            )?;
        }
        Ok(earlier)
    }

    /// All its files, or no folder: what was interrupted is made anew.
    fn check_out(&self, place: &Place, root: &Path) -> Result<()> {
        if root.is_dir() {
            return Ok(());
        }
        let [partial, archive] = ["partial", "tar"].map(|ending| root.with_extension(ending));
        if partial.exists() {
            fs::remove_dir_all(&partial)
                .with_context(|| format!("{} cannot be made anew", partial.display()))?;
        }
        fs::create_dir(&partial)
            .with_context(|| format!("{} cannot be made", partial.display()))?;
        sh::run(
            git(place)
                .args(["archive", "--format=tar", "--output"])
                .args([archive.as_os_str(), self.hash.as_ref()]),
        )?;
        sh::run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&partial))?;
        fs::remove_file(&archive)
            .with_context(|| format!("{} cannot be removed", archive.display()))?;
        fs::rename(&partial, root)
            .with_context(|| format!("{} cannot be moved into place", partial.display()))
    }
}

fn git(place: &Place) -> Command {
    let mut git = Command::new("git");
    git.current_dir(&place.root);
    git
}

/// Holds a file for as long as what it gives is kept.
fn lock(path: &PathBuf) -> Result<File> {
    let file = File::create(path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("Waiting: another process builds the same commit.")
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
        }
    }
    file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
    Ok(file)
}
