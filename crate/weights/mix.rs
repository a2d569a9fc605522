//! Which kind each matrix gets where weights are to have so many bits on average: what rounding a
//! matrix costs is guessed, and bits go where they save most of it.

use std::collections::BTreeMap;

use super::config::Config;
use super::spec::{self, EMBED_TOKENS, Role, Shape};
use crate::layout::{Kind, planes};

/// The kinds, and the error that each leaves of weights as they are: squared, as a share of the
/// weights' own. Others cost more than two of these in their place.
const LADDER: [(Kind, f64); 7] = [
    (Kind::Q2K, 0.09),
    (Kind::Q3K, 0.026),
    // Where rows are no whole blocks.
    (Kind::Q3, 0.029),
    (Kind::Q4, 6.6e-3),
    (Kind::Q5, 1.7e-3),
    (Kind::Q6K, 3.5e-4),
    (Kind::Q8, 2.5e-5),
];

/// The kinds that were chosen, by canonical names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix(BTreeMap<String, Kind>);

/// A step of a matrix up the ladder.
struct Step {
    matrix: usize,
    to: Kind,
    bytes: u64,
    /// Error that it saves, for each byte.
    worth: f64,
}

impl Mix {
    /// Of a model of which nothing but its form is known.
    pub fn by_role(config: &Config, average: u16) -> Mix {
        Mix::new(config, average, |role, _| sensitivity(role))
    }

    /// At most so many hundredths of a bit on average, and as near to that as kinds allow; where
    /// not even the lowest are few enough, those. `cost` tells what an error in a matrix costs, for
    /// each of its weights.
    pub fn new(config: &Config, average: u16, cost: impl Fn(Role, &str) -> f64) -> Mix {
        let matrices: Vec<_> = spec::tensors(config)
            .filter_map(|tensor| match tensor.shape {
                Shape::Matrix(shape) => Some((tensor.name, tensor.role, shape)),
                Shape::Vector(_) => None,
            })
            .collect();
        let (mut kinds, mut steps, mut weights, mut held) = (Vec::new(), Vec::new(), 0, 0);
        for (matrix, (name, role, [rows, cols])) in matrices.iter().enumerate() {
            let cost = cost(*role, name) * (rows * cols) as f64;
            let mut fitting = LADDER
                .iter()
                .filter(|(kind, _)| fits(*kind, *cols))
                .map(|&(kind, error)| (kind, error, planes(kind, *rows, *cols).bytes()));
            let Some(mut below) = fitting.next() else { continue };
            kinds.push(below.0);
            weights += (rows * cols) as u64;
            held += below.2;
            for next in fitting {
                let bytes = next.2 - below.2;
                let worth = cost * (below.1 - next.1) / bytes as f64;
                steps.push(Step { matrix, to: next.0, bytes, worth });
                below = next;
            }
        }
        // Each step of a matrix is worth less than the one before.
        steps.sort_by(|one, other| other.worth.total_cmp(&one.worth));
        let most = weights * u64::from(average) / 800;
        let mut full = vec![false; kinds.len()];
        for Step { matrix, to, bytes, .. } in steps {
            full[matrix] |= held + bytes > most;
            if !full[matrix] {
                kinds[matrix] = to;
                held += bytes;
            }
        }
        Mix(matrices.into_iter().map(|(name, ..)| name).zip(kinds).collect())
    }

    /// A matrix's. A head that is not there is the embedding.
    pub fn kind(&self, name: &str) -> Kind {
        self.0.get(name).or_else(|| self.0.get(EMBED_TOKENS)).copied().unwrap_or(Kind::Q8)
    }
}

/// Whether rows of so many columns may be of a kind.
fn fits(kind: Kind, cols: usize) -> bool {
    let has_blocks = cols.is_multiple_of(Kind::Q3K.unit());
    if kind == Kind::Q3 { !has_blocks } else { has_blocks || !kind.has_blocks() }
}

/// What an error costs in a matrix of this role, for each of its weights: what perplexity lost, by
/// a weight, where one role alone of SmolLM2 had 4.5 bits and all others 8.5, rounded to the
/// nearest and calibrated. An embedding costs a quarter of that, but twice as much in 3.5 bits: it
/// keeps 4.5 and is the last to get more.
fn sensitivity(role: Role) -> f64 {
    match role {
        Role::Embedding => 0.98,
        Role::Qkv => 4.0,
        Role::Output => 0.6,
        Role::Down => 1.3,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::weights::spec::LM_HEAD;

    fn config(hidden_size: u32, tied: bool) -> Config {
        let json = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": hidden_size,
            "intermediate_size": 1024,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 1000,
            "rms_norm_eps": 1e-5,
            "max_position_embeddings": 512,
            "tie_word_embeddings": tied,
            "bos_token_id": 1,
            "eos_token_id": 2,
        });
        Config::parse(&json).unwrap()
    }

    #[test]
    fn averages_are_kept_and_nearly_reached() {
        for (hidden_size, least) in [(512, 2.63), (288, 3.3)] {
            for tied in [true, false] {
                let config = config(hidden_size, tied);
                let mut last = 0.0;
                for average in (250..=800).step_by(5) {
                    let mix = Mix::by_role(&config, average);
                    let (mut bytes, mut weights) = (0, 0);
                    for (name, [rows, cols]) in config.matrices() {
                        bytes += planes(mix.kind(&name), rows, cols).bytes();
                        weights += (rows * cols) as u64;
                    }
                    let bits = 8.0 * bytes as f64 / weights as f64;
                    let asked = f64::from(average) / 100.0;
                    assert!(bits >= last, "{asked} takes {bits}, less than fewer do");
                    assert!(bits <= asked.max(least), "{bits} for {asked}");
                    assert!(bits > asked - 0.15, "{bits} for {asked}");
                    last = bits;
                }
            }
        }
    }

    #[test]
    fn bits_go_where_errors_cost_most() {
        let config = config(512, true);
        let mix =
            Mix::new(&config, 400, |_, name| if name.contains("layers.2.") { 9.0 } else { 1.0 });
        let kind = |layer: u32| mix.kind(&format!("model.layers.{layer}.mlp.down_proj.weight"));
        assert!(kind(2).bits() > kind(1).bits());
        // A head that is not there has its embedding's.
        assert_eq!(mix.kind(LM_HEAD), mix.kind(EMBED_TOKENS));
    }
}
