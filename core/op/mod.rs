//! The words that a model and a backend share.
//!
//! A step of the model *records* a list of [`Op`]s, which are plain data: handles of buffers, and
//! sizes. A backend runs the list. There are few ops and they are coarse; each has one CPU file and
//! one shader of its name. All activations are f32.

mod attention;
mod cache;
mod choice;
mod layer;
mod matrix;

pub use attention::{Attend, HeadNorm, Rope, Seal};
pub use cache::{Heads, KvKind, KvPart, PAGE, step_words};
pub use choice::{Argmax, LogProbs, Sample, SamplerParams};
pub use layer::{Embed, Matmul, Norm, Swiglu};
pub use matrix::{Matrix, Part};

use crate::error::Result;

/// A handle of a backend's buffer. The backend that gave it out owns the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Buf(pub u32);

/// What an op does with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looks at it.
    Read,
    /// Writes all of it, without a look at what it held.
    Write,
    /// Writes some of it, without a look at what it held.
    Part,
    /// Looks at it and writes it.
    Update,
}

impl Access {
    /// Whether what the buffer held matters.
    pub fn reads(self) -> bool {
        matches!(self, Access::Read | Access::Update)
    }
}

/// A buffer of an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The op's field.
    pub name: &'static str,
    /// The buffer.
    pub buf: Buf,
    /// What becomes of it.
    pub access: Access,
    /// Bytes of it, from its beginning, that the op may touch.
    pub bytes: u64,
}

impl Operand {
    /// An operand of elements of four bytes, in this shape.
    fn words(name: &'static str, buf: Buf, access: Access, shape: &[u32]) -> Operand {
        Operand { name, buf, access, bytes: Operand::bytes(shape, 4) }
    }

    fn bytes(shape: &[u32], element: u64) -> u64 {
        shape.iter().fold(element, |product, &n| product.saturating_mul(n.into()))
    }
}

/// What every op tells of itself: all that backends, and whoever computes ops together, ask of any
/// of them.
pub trait Operation {
    /// Whether its sizes make sense.
    ///
    /// # Errors
    /// `internal`.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Its buffers.
    fn operands(&self) -> Vec<Operand>;

    /// All handles in it, to be replaced by others.
    fn buffers(&mut self) -> Vec<&mut Buf>;
}

macro_rules! ops {
    ($($(#[$doc:meta])* $op:ident = $name:literal),+ $(,)?) => {
        /// One step of work. Shapes are row-major; `rows` counts tokens.
        ///
        /// Ops of a list run in order and see the results of those before them. A backend may
        /// compute some together: what a norm writes for the matmul after it, a matmul for the
        /// swiglu after it, and a rope into its queries for the attention after it need not be in
        /// memory once no op of the list reads it any more. Another list must not count on it.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Op {
            $($(#[$doc])* $op($op)),+
        }

        impl Op {
            /// What errors call it.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Op::$op(_) => $name),+
                }
            }

            fn operation(&self) -> &dyn Operation {
                match self {
                    $(Op::$op(op) => op),+
                }
            }

            fn operation_mut(&mut self) -> &mut dyn Operation {
                match self {
                    $(Op::$op(op) => op),+
                }
            }
        }

        $(impl From<$op> for Op {
            fn from(op: $op) -> Op {
                Op::$op(op)
            }
        })+
    };
}

ops! {
    /// Rows of the embedding.
    Embed = "embed",
    /// The RMS norm of rows.
    Norm = "norm",
    /// A matrix times rows.
    Matmul = "matmul",
    /// The RMS norms of single heads.
    HeadNorm = "head norm",
    /// Rotation, and what is appended to the cache.
    Rope = "rope",
    /// Attention to the cache.
    Attend = "attend",
    /// A full page of the cache made codes.
    Seal = "seal",
    /// The place of the largest logit.
    Argmax = "argmax",
    /// A token, drawn.
    Sample = "sample",
    /// What log-probabilities are made of.
    LogProbs = "log-probabilities",
    /// Gate and up made one.
    Swiglu = "swiglu",
}

impl Operation for Op {
    fn check(&self) -> Result<()> {
        self.operation().check().map_err(|error| error.at(self.name()))
    }

    fn operands(&self) -> Vec<Operand> {
        self.operation().operands()
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        self.operation_mut().buffers()
    }
}
