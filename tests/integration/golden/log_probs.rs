//! Log-probabilities against softmax over the logits of transformers.

use phi_wasm::backend::Backend;
use phi_wasm::engine::{Engine, Sequence};

use super::floats;
use crate::common::tiny_phi::Golden;

/// Of each token that comes, of some besides, and of the most probable ones.
pub async fn are_the_references<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    golden: &Golden,
    tolerance: f32,
) {
    const TOP: u32 = 5;
    let (ids, vocab) = (golden.ids("long.ids"), engine.config().vocab_size as usize);
    let logits = floats(golden, "long.logits");
    let rows: Vec<&[f32]> = logits.chunks_exact(vocab).collect();
    let close = |found: f64, row: &[f32], id: u32| {
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        let difference = found - (f64::from(row[id as usize]) - sum.ln());
        assert!(difference.abs() <= 2.0 * f64::from(tolerance), "{id} differs by {difference}");
    };
    // More than a row is asked for at once.
    let asked: Vec<Vec<u32>> = (1..=ids.len())
        .map(|at| ids.iter().cycle().skip(at).take(at % 70).copied().collect())
        .collect();
    engine.plan_rows(sequence, &ids, 0).unwrap();
    let mut position = 0;
    while position < ids.len() {
        for told in engine.log_probs_at(sequence, position, &asked[position..], TOP).await.unwrap()
        {
            let row = rows[position];
            let of = |(id, _): &(u32, f64)| *id;
            assert_eq!(told.asked.iter().map(of).collect::<Vec<_>>(), asked[position]);
            assert_eq!(told.top.len(), TOP as usize);
            told.asked.iter().chain(&told.top).for_each(|&(id, found)| close(found, row, id));
            assert!(told.top.is_sorted_by(|a, b| a.1 >= b.1), "{told:?}");
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(row[told.top[0].0 as usize] >= largest - 2.0 * tolerance);
            position += 1;
        }
    }
    // Those of tokens that are chosen here, while the next step is begun.
    let (first, expected) = (golden.ids("short.ids"), golden.ids("greedy.ids"));
    engine.plan(sequence, &first).unwrap();
    sequence.tell_log_probs(Some(1));
    for &token in expected.iter().take(6) {
        assert_eq!(engine.greedy(sequence).await.unwrap(), token);
        let told = sequence.take_log_probs().unwrap();
        assert_eq!((told.asked[0], told.top.len()), (told.top[0], 1));
        assert_eq!(told.asked[0].0, token);
        engine.push(sequence, token).unwrap();
    }
    sequence.tell_log_probs(None);
    engine.greedy(sequence).await.unwrap();
    assert_eq!(sequence.take_log_probs(), None);
}
