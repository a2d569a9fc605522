//! One error type: a clear sentence and a stable code.
//!
//! A message says what went wrong, where, and what to do next: "layer 7 down_proj: 4096 of 9216
//! bytes; the download was cut short, load again to resume". The code is what programs test for;
//! JavaScript sees the same one.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

/// What the whole crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// The one table of codes: the name here, and the stable spelling that users and JavaScript see.
macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $spelling:tt,)+) => {
        /// What kind of thing went wrong. The names are stable: they are part of the public
        /// interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// The stable spelling that users and JavaScript see.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $spelling,)+
                }
            }
        }
    };
}

codes! {
    /// The file or directory is not a model in a format that we read.
    NotAModel = "not-a-model",
    /// A file ends before what its header promises.
    Truncated = "truncated",
    /// A header, index or manifest contradicts itself.
    Malformed = "malformed",
    /// An architecture or a configuration that we do not run.
    UnsupportedArchitecture = "unsupported-architecture",
    /// A tensor element type that we do not read.
    UnsupportedTensor = "unsupported-tensor",
    /// A tensor that the architecture needs is not in the files.
    MissingTensor = "missing-tensor",
    /// A tensor's shape contradicts the configuration.
    WrongShape = "wrong-shape",
    /// The configuration's numbers do not fit together.
    BadConfig = "bad-config",
    /// The tokenizer's files are missing or cannot be read.
    BadTokenizer = "bad-tokenizer",
    /// The chat template cannot be compiled or refuses the messages.
    BadTemplate = "bad-template",
    /// The prompt does not fit the context.
    PromptTooLong = "prompt-too-long",
    /// The context is full.
    ContextFull = "context-full",
    /// A token id outside the vocabulary.
    BadToken = "bad-token",
    /// An option or argument outside its range.
    BadOption = "bad-option",
    /// A schema, a grammar, a pattern or a choice of texts that answers cannot be held to.
    BadConstraint = "bad-constraint",
    /// Memory, of the machine or the device, could not be had.
    OutOfMemory = "out-of-memory",
    /// A file is not there, or the server says so.
    NotFound = "not-found",
    /// The connection was cut, refused or timed out.
    Network = "network",
    /// Reading or writing a file failed.
    Io = "io",
    /// There is no room for a model in the browser's storage.
    StorageFull = "storage-full",
    /// The browser's storage was cleared while it was used.
    StorageLost = "storage-lost",
    /// Another tab uses the model, or somebody else writes it.
    InUse = "in-use",
    /// A chunk's bytes differ from their published hash.
    Corrupt = "corrupt",
    /// No adapter, or one that lacks what we need.
    NoGpu = "no-gpu",
    /// The device answers wrongly, or refuses to.
    GpuFailed = "gpu-failed",
    /// The device is gone: a driver was reset, say. A new one may do.
    GpuLost = "gpu-lost",
    /// The caller asked to stop.
    Cancelled = "cancelled",
    /// A mistake of this crate, or of a program that uses its inner parts; please report it.
    Internal = "internal",
}

/// One clear sentence with a stable code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of thing went wrong.
    pub code: Code,
    /// What, where, and what to do next, unless [`Error::advice`] says that.
    pub message: String,
    /// Apart, and only where there is some: whatever may fail hands errors on, and modules grow
    /// with their size.
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    advice: Option<String>,
    details: Details,
}

/// What programs go by: figures of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// With `out-of-memory`: the longest context that there is room for, 0 for none, where that is
    /// known.
    pub ctx_len: Option<usize>,
    /// With `storage-full`: bytes that are missing, where that is known.
    pub missing: Option<u64>,
}

impl Error {
    /// An error of this kind, in words.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, message: message.into(), more: None }
    }

    /// The error that says why a file could not be read.
    pub fn reading(path: &Path, error: &io::Error) -> Error {
        let path = path.display().to_string();
        let (code, why) = match error.kind() {
            ErrorKind::NotFound if path.contains("://") => (
                Code::NotFound,
                "an address; download what is there, and name its file or directory".to_owned(),
            ),
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                (Code::NotFound, "there is no such file or directory".to_owned())
            }
            ErrorKind::PermissionDenied => (
                Code::Io,
                "not allowed to read it; change its permissions, or name a copy".to_owned(),
            ),
            ErrorKind::IsADirectory => (Code::Io, "a directory; name a file in it".to_owned()),
            ErrorKind::InvalidData => (Code::Io, "not a text in UTF-8; save it as one".to_owned()),
            _ => (Code::Io, format!("cannot be read: {}", in_words(error))),
        };
        Error::new(code, format!("{path}: {why}"))
    }

    /// The error that says why a file or directory could not be written.
    pub fn writing(path: &Path, error: &io::Error) -> Error {
        let why = match error.kind() {
            ErrorKind::NotFound => {
                "the directory that it would be in is not there; make that first".to_owned()
            }
            ErrorKind::PermissionDenied => {
                "not allowed to write there; name another place".to_owned()
            }
            ErrorKind::IsADirectory => "a directory; name a file".to_owned(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "the disk is full; make room, or name a place on another disk, and try again"
                    .to_owned()
            }
            _ => format!("cannot be written: {}", in_words(error)),
        };
        Error::new(Code::Io, format!("{}: {why}", path.display()))
    }

    /// Says also what to do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Error {
        self.more.get_or_insert_default().advice = Some(advice.into());
        self
    }

    /// Carries figures, too.
    pub fn with(mut self, details: Details) -> Error {
        self.more.get_or_insert_default().details = details;
        self
    }

    /// Says where it happened, before all else.
    pub fn at(self, place: impl fmt::Display) -> Error {
        Error { message: format!("{place}: {}", self.message), ..self }
    }

    /// What to do next, where the engine may do it itself and then says only what went wrong.
    pub fn advice(&self) -> Option<&str> {
        self.more.as_ref()?.advice.as_deref()
    }

    /// Its figures.
    pub fn details(&self) -> Details {
        self.more.as_ref().map_or_else(Details::default, |more| more.details)
    }

    /// All that people read.
    pub fn sentence(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{}; {advice}", self.message),
            None => self.message.clone(),
        }
    }
}

/// What the system says, without the number that it has for it.
pub fn in_words(error: impl fmt::Display) -> String {
    let said = error.to_string();
    said.split_once(" (os error ").map(|(words, _)| words.to_owned()).unwrap_or(said)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.sentence(), self.code.as_str())
    }
}

impl std::error::Error for Error {}

/// `Err` with a code and a formatted sentence: `fail!(Code::Truncated, "{file}: {n} of {m}
/// bytes")`. What follows a semicolon is advice: `fail!(Code::NoGpu, "there is no GPU"; "run on the
/// CPU")`.
#[doc(hidden)]
#[macro_export]
macro_rules! fail {
    ($code:expr, $message:literal $(, $argument:expr)*; $($advice:tt)+) => {
        return Err($crate::error::Error::new($code, format!($message $(, $argument)*))
            .advise(format!($($advice)+)))
    };
    ($code:expr, $($message:tt)+) => {
        return Err($crate::error::Error::new($code, format!($($message)+)))
    };
}
pub use fail;
