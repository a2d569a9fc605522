//! llama.cpp's importance matrices: how much each column of a product's inputs counts, as
//! `llama-imatrix` has counted it on a text.

use std::collections::BTreeMap;

use super::inputs::Factor;
use super::rounding::{Meter, round_matrix};
use crate::error::{Code, Result, fail};
use crate::layout::blocks::values;
use crate::layout::element_type::ElementType;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::config::Config;
use crate::weights::format::WeightFormat;
use crate::weights::gguf::{self, MAGIC};
use crate::weights::left::Left;
use crate::weights::names::in_gguf;
use crate::weights::panels::Sink;
use crate::weights::source::{MemorySource, Source};
use crate::weights::write::{Alone, Rounding};

/// What a matrix' sums are called in a GGUF, after its own name, and how often they were added to.
const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

/// The mean of each input's square, by GGUF's names of the matrices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Importance(BTreeMap<String, Vec<f32>>);

impl Importance {
    /// Reads a file, which errors call `at`: a GGUF, or the form that was before that.
    ///
    /// # Errors
    /// `truncated`, and `malformed` for what is neither, or says what cannot be.
    pub async fn read(at: &str, bytes: Vec<u8>) -> Result<Importance> {
        let means = if bytes.starts_with(MAGIC) {
            in_new_form(at, bytes).await?
        } else {
            in_old_form(at, &bytes)?
        };
        if let Some((name, _)) =
            means.iter().find(|(_, means)| means.iter().any(|mean| !(0.0..f32::MAX).contains(mean)))
        {
            fail!(
                Code::Malformed,
                "{at}: the importance of a column of {name} is no positive number; make the file \
                    again"
            );
        }
        Ok(Importance(means))
    }

    /// That of each matrix of a model, by canonical names, as far as there is any.
    ///
    /// # Errors
    /// `bad-option` for that of another model.
    pub(super) fn of_model(&self, config: &Config) -> Result<Weighted> {
        let mut found = BTreeMap::new();
        for (name, [_, cols]) in config.matrices() {
            let stored = in_gguf(config, &name);
            let Some((stored, means)) =
                stored.iter().find_map(|stored| self.0.get_key_value(stored))
            else {
                continue;
            };
            if means.len() != cols {
                fail!(
                    Code::BadOption,
                    "the importance matrix has {} columns for {stored}, and the model {cols}",
                    means.len();
                    "give one that was made of this model"
                );
            }
            found.insert(name, means.clone());
        }
        if found.is_empty() {
            fail!(
                Code::BadOption,
                "the importance matrix names no matrix of the model";
                "give one that was made of this model"
            );
        }
        Ok(Weighted(found))
    }
}

/// Sums and counts are tensors.
async fn in_new_form(at: &str, bytes: Vec<u8>) -> Result<BTreeMap<String, Vec<f32>>> {
    let source = MemorySource::file(at, bytes);
    let header = gguf::read_header(&source, at).await?;
    let bytes = &source.files[at];
    let floats = |name: &str| {
        let tensor = header.tensors.iter().find(|tensor| tensor.name == name)?;
        let all = bytes.get(tensor.offset as usize..)?.get(..tensor.bytes as usize)?;
        (tensor.stored == ElementType::F32).then(|| values(&ElementType::F32, all))
    };
    let mut means = BTreeMap::new();
    for name in header.tensors.iter().filter_map(|tensor| tensor.name.strip_suffix(SUMS)) {
        let floats = |of| floats(&format!("{name}{of}")).transpose();
        let (sums, counts) = (floats(SUMS)?, floats(COUNTS)?);
        // What has experts has a count for each: those models are not read.
        let (Some(sums), Some([count])) = (sums, counts.as_deref()) else { continue };
        means.insert(name.to_owned(), divided(sums, *count));
    }
    Ok(means)
}

/// How many matrices there are; of each the length of its name, its name, how often it was added
/// to, how many sums there are, and those.
fn in_old_form(at: &str, bytes: &[u8]) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut rest = bytes;
    let mut take = |count: u32, each: usize| -> Result<&[u8]> {
        let bytes = (count as usize).checked_mul(each);
        let Some((taken, behind)) = bytes.and_then(|bytes| rest.split_at_checked(bytes)) else {
            fail!(
                Code::Malformed,
                "{at}: neither a GGUF nor a whole importance matrix; make it again with \
                    llama-imatrix"
            );
        };
        rest = behind;
        Ok(taken)
    };
    let number =
        |bytes: &[u8]| bytes.iter().rev().fold(0u32, |all, &byte| all << 8 | u32::from(byte));
    let mut means = BTreeMap::new();
    for _ in 0..number(take(1, 4)?) {
        let length = number(take(1, 4)?);
        let name = String::from_utf8_lossy(take(length, 1)?).into_owned();
        let count = number(take(1, 4)?);
        let columns = number(take(1, 4)?);
        let sums = values(&ElementType::F32, take(columns, 4)?)?;
        means.insert(name, divided(sums, count as f32));
    }
    Ok(means)
}

fn divided(sums: Vec<f32>, count: f32) -> Vec<f32> {
    sums.into_iter().map(|sum| sum / count.max(1.0)).collect()
}

/// Every group by itself, with errors of each column as bad as that is important.
#[derive(Debug)]
pub(super) struct Weighted(BTreeMap<String, Vec<f32>>);

impl<S: Source> Rounding<S> for Weighted {
    async fn panels(
        &mut self,
        checkpoint: &Checkpoint<S>,
        (name, shape): (&str, [usize; 2]),
        (format, left): (WeightFormat, Option<Left>),
        progress: &mut dyn FnMut(u64),
        sink: Sink<'_>,
    ) -> Result<()> {
        let Some(means) = self.0.get(name) else {
            return Alone.panels(checkpoint, (name, shape), (format, left), progress, sink).await;
        };
        let kind = checkpoint.kind_of(name, shape, format)?;
        let factor = Factor::diagonal(means);
        let mut meter = Meter { left: checkpoint.place(name, &shape)?.bytes(), progress };
        round_matrix(checkpoint, (name, shape), &factor, (kind, &mut meter), sink).await?;
        meter.count(meter.left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use pollster::block_on;
    use serde_json::json;

    use super::*;
    use crate::weights::gguf::write::{ALIGNMENT, Meta, Tensor, VERSION, header};

    /// The old form, of one matrix.
    fn old(name: &str, count: i32, sums: &[f32]) -> Vec<u8> {
        let numbers = |numbers: &[i32]| -> Vec<u8> {
            numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
        };
        let sums: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        let columns = sums.len() as i32 / 4;
        let (begin, middle) = (numbers(&[1, name.len() as i32]), numbers(&[count, columns]));
        // How many chunks there were, and of which file.
        [begin, name.into(), middle, sums, numbers(&[1, 1]), b"t".to_vec()].concat()
    }

    /// The new form, of one matrix, and something beside it.
    fn new(name: &str, count: f32, sums: &[f32]) -> Vec<u8> {
        let tensor = |name, dims, bytes| Tensor { name, dims, stored: 0, bytes };
        let (sums_name, counts_name) = (format!("{name}.in_sum2"), format!("{name}.counts"));
        let dims = [sums.len() as u64, 1];
        let tensors = [
            tensor(&*sums_name, &dims[..], 4 * dims[0]),
            tensor(&*counts_name, &[1, 1], 4),
            tensor("output.weight.in_sum2", &[1, 1], 4),
        ];
        let mut file =
            header(VERSION, &[("general.type", Meta::Text("imatrix"))], tensors.into_iter());
        for numbers in [sums, &[count], &[1.0]] {
            file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            file.resize(file.len().next_multiple_of(ALIGNMENT as usize), 0);
        }
        file
    }

    fn model() -> Config {
        let json = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 100,
            "rms_norm_eps": 1e-5,
            "max_position_embeddings": 512,
            "tie_word_embeddings": true,
            "bos_token_id": 1,
            "eos_token_id": 2,
        });
        Config::parse(&json).unwrap()
    }

    #[test]
    fn the_new_form_says_the_same() {
        let sums = [8.0, 2.0, 0.0, 5.0];
        let [old, new] =
            [old("blk.3.attn_k.weight", 4, &sums), new("blk.3.attn_k.weight", 4.0, &sums)]
                .map(|bytes| block_on(Importance::read("i", bytes)).unwrap());
        assert_eq!(old, new);
        assert_eq!(old.0.len(), 1);
    }

    #[test]
    fn what_a_model_has_is_found_whatever_is_fused() {
        for name in ["blk.1.attn_q.weight", "blk.1.attn_v.weight"] {
            let importance = Importance(BTreeMap::from([(name.to_owned(), vec![1.0; 64])]));
            let found = importance.of_model(&model()).unwrap().0;
            let names: Vec<_> = found.keys().collect();
            assert_eq!(names, ["model.layers.1.self_attn.qkv_proj.weight"], "{name}");
        }
        for (name, cols) in [("blk.1.attn_q.weight", 63), ("blk.2.attn_q.weight", 64), ("x", 64)] {
            let importance = Importance(BTreeMap::from([(name.to_owned(), vec![1.0; cols])]));
            let error = importance.of_model(&model()).unwrap_err();
            assert_eq!(error.code, Code::BadOption, "{error}");
        }
    }

    #[test]
    fn the_old_form_is_read_and_what_is_none_refused() {
        let bytes = old("blk.0.ffn_down.weight", 4, &[8.0, 2.0, 0.0]);
        let read = |bytes: &[u8]| block_on(Importance::read("i.dat", bytes.to_vec()));
        let found = read(&bytes).unwrap();
        assert_eq!(found.0["blk.0.ffn_down.weight"], [2.0, 0.5, 0.0]);
        for wrong in [&[][..], &bytes[..20], &[255; 40], b"GGU"] {
            assert!(read(wrong).is_err());
        }
        for sum in [f32::NAN, -1.0, f32::INFINITY] {
            assert_eq!(read(&old("x", 1, &[sum])).unwrap_err().code, Code::Malformed);
        }
    }
}
