//! Running commands, and saying which one failed.

use std::env;
use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// Does one thing beside another, both to their end: each leaves a core idle for long. An error is
/// the first one's, if both fail.
pub fn both(
    one: impl FnOnce() -> Result<()>,
    other: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let outcome = one();
        outcome.and(other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Runs a command on the way to something else: what it prints goes to stderr. An error names it.
pub fn run(command: &mut Command) -> Result<()> {
    show(command.stdout(io::stderr()))
}

/// Runs a command whose output is what was asked for.
pub fn show(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("$ {line}");
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// What a command prints on stdout; an error holds what it prints on stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!(
            "`{line}` failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{line}` printed something that is no text"))
}

/// Whether a command runs and succeeds, in silence.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// The first of these programs that is on the PATH.
pub fn find(programs: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    programs
        .iter()
        .flat_map(|program| folders.iter().map(move |folder| folder.join(program)))
        .find(|file| file.is_file())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
