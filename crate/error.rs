//! One error type: a clear sentence and a stable code.
//!
//! A message says what went wrong, where, and what to do next: "layer 7 down_proj: 4096 of 9216 bytes; the download was cut
//! short, load again to resume". The code is what programs test for; JavaScript sees the same one.

use std::fmt;

/// What the whole crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing went wrong. The names are stable: they are part of the public interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The file or directory is not a model in a format that we read.
    NotAModel,
    /// A file ends before what its header promises.
    Truncated,
    /// A header, index or manifest contradicts itself.
    Malformed,
    /// An architecture or a configuration that we do not run.
    UnsupportedArchitecture,
    /// A tensor element type that we do not read.
    UnsupportedTensor,
    /// A tensor that the architecture needs is not in the files.
    MissingTensor,
    /// A tensor's shape contradicts the configuration.
    WrongShape,
    /// The configuration's numbers do not fit together.
    BadConfig,
    /// The tokenizer's files are missing or cannot be read.
    BadTokenizer,
    /// The chat template cannot be compiled or refuses the messages.
    BadTemplate,
    /// The prompt does not fit the context.
    PromptTooLong,
    /// The context is full.
    ContextFull,
    /// A token id outside the vocabulary.
    BadToken,
    /// An option or argument outside its range.
    BadOption,
    /// Memory, of the machine or the device, could not be had.
    OutOfMemory,
    /// A file is not there, or the server says so.
    NotFound,
    /// The connection was cut, refused or timed out.
    Network,
    /// Reading or writing a file failed.
    Io,
    /// There is no room for a model in the browser's storage.
    StorageFull,
    /// The browser's storage was cleared while it was used.
    StorageLost,
    /// Another tab uses the model, or somebody else writes it.
    InUse,
    /// A chunk's bytes differ from their published hash.
    Corrupt,
    /// No adapter, or one that lacks what we need.
    NoGpu,
    /// The device answers wrongly, or refuses to.
    GpuFailed,
    /// The device is gone: a driver was reset, say. A new one may do.
    GpuLost,
    /// The caller asked to stop.
    Cancelled,
    /// A mistake of this crate, or of a program that uses its inner parts; please report it.
    Internal,
}

impl Code {
    /// The stable spelling that users and JavaScript see.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::NotAModel => "not-a-model",
            Code::Truncated => "truncated",
            Code::Malformed => "malformed",
            Code::UnsupportedArchitecture => "unsupported-architecture",
            Code::UnsupportedTensor => "unsupported-tensor",
            Code::MissingTensor => "missing-tensor",
            Code::WrongShape => "wrong-shape",
            Code::BadConfig => "bad-config",
            Code::BadTokenizer => "bad-tokenizer",
            Code::BadTemplate => "bad-template",
            Code::PromptTooLong => "prompt-too-long",
            Code::ContextFull => "context-full",
            Code::BadToken => "bad-token",
            Code::BadOption => "bad-option",
            Code::OutOfMemory => "out-of-memory",
            Code::NotFound => "not-found",
            Code::Network => "network",
            Code::Io => "io",
            Code::StorageFull => "storage-full",
            Code::StorageLost => "storage-lost",
            Code::InUse => "in-use",
            Code::Corrupt => "corrupt",
            Code::NoGpu => "no-gpu",
            Code::GpuFailed => "gpu-failed",
            Code::GpuLost => "gpu-lost",
            Code::Cancelled => "cancelled",
            Code::Internal => "internal",
        }
    }
}

/// One clear sentence with a stable code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of thing went wrong.
    pub code: Code,
    /// What, where, and what to do next.
    pub message: String,
    /// With `out-of-memory`: the longest context that there is room for, 0 for none, where that is known.
    pub ctx_len: Option<usize>,
}

impl Error {
    /// An error from its parts.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), ctx_len: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code.as_str())
    }
}

impl std::error::Error for Error {}

/// `Err` with a code and a formatted sentence: `fail!(Code::Truncated, "{file}: {n} of {m} bytes")`.
macro_rules! fail {
    ($code:expr, $($message:tt)+) => {
        return Err($crate::error::Error::new($code, format!($($message)+)))
    };
}
pub(crate) use fail;
