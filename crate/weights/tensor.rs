//! A tensor as it lies in a file.

use std::sync::Arc;

use crate::error::{Code, Result, fail};
use crate::layout::element_type::ElementType;

/// Refuses tensors of one file that share bytes.
pub(super) fn apart(tensors: &[Tensor]) -> Result<()> {
    let mut in_order: Vec<&Tensor> = tensors.iter().filter(|tensor| tensor.bytes > 0).collect();
    in_order.sort_by_key(|tensor| tensor.offset);
    for pair in in_order.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            let [one, other] = [pair[0], pair[1]].map(|tensor| &tensor.name);
            fail!(
                Code::Malformed,
                "{}: {one} and {other} lie in the same bytes; the file is damaged, fetch it again",
                pair[0].file
            );
        }
    }
    Ok(())
}

/// A named tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name there.
    pub name: String,
    /// Row-major: `[output, input]` for a matrix, in GGUF too.
    pub shape: Vec<u64>,
    /// Its element type.
    pub stored: ElementType,
    /// The file that holds it.
    pub file: Arc<str>,
    /// Where in the file it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}
