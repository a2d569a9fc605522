//! What a task of attention works in.

use super::sealed;
use crate::op::PAGE;

/// Positions that are unpacked at once, a multiple of every vector's width. They lie together: a
/// page has whole blocks.
pub const BLOCK: usize = 32;
const _: () = assert!((PAGE as usize).is_multiple_of(BLOCK));

/// A task's memory; a row is padded with zeros to whole vectors.
pub struct Work<'a> {
    /// Floats of a padded head.
    pub dim: usize,
    /// `[queries, dim]`, already scaled.
    pub queries: &'a mut [f32],
    /// `[queries, dim]`: weighted sums of values.
    pub sums: &'a mut [f32],
    /// `[BLOCK, dim]`: the block's keys, then its values.
    pub block: &'a mut [f32],
    /// `[queries, BLOCK]`: scores, then weights.
    pub scores: &'a mut [f32],
    /// Of a sealed page scales, then as many minima.
    pub scales: &'a mut [f32],
    /// `[queries, dim]` or `[queries, BLOCK]`: what has a sealed page's scales in it.
    pub folded: &'a mut [f32],
    /// `[queries]`: what a sealed page's minima come to.
    pub offsets: &'a mut [f32],
    /// `[queries]`: the largest score so far.
    pub m: &'a mut [f32],
    /// `[queries]`: the sum of weights so far.
    pub l: &'a mut [f32],
}

/// Queries and the floats of a head, padded: scores are computed for some queries together, with
/// whole vectors.
fn padded(queries: usize, head_dim: usize, width: usize) -> (usize, usize) {
    (queries.next_multiple_of(2).max(3), head_dim.next_multiple_of(width))
}

/// Floats that a task of so many queries needs.
pub fn floats(queries: usize, head_dim: usize, width: usize) -> usize {
    let (queries, dim) = padded(queries, head_dim, width);
    let of_query = 2 * dim + dim.max(BLOCK) + BLOCK + 3;
    BLOCK * dim + sealed::scales(dim, BLOCK) + queries * of_query
}

impl<'a> Work<'a> {
    /// Divides up zeroed memory.
    pub fn new(memory: &'a mut [f32], queries: usize, head_dim: usize, width: usize) -> Work<'a> {
        let (queries, dim) = padded(queries, head_dim, width);
        let mut rest = memory;
        let mut part = |floats| rest.split_off_mut(..floats).unwrap_or_default();
        Work {
            dim,
            block: part(BLOCK * dim),
            scales: part(sealed::scales(dim, BLOCK)),
            queries: part(queries * dim),
            sums: part(queries * dim),
            folded: part(queries * dim.max(BLOCK)),
            scores: part(queries * BLOCK),
            offsets: part(queries),
            m: part(queries),
            l: part(queries),
        }
    }
}
