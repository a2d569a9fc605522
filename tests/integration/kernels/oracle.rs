//! The dumbest implementation of every op, in f64, read off the documentation of `op/`: as many
//! lines as the ops need.

use half::f16;
use phi_wasm::layout::Kind;
use phi_wasm::op::{self, Buf, Heads, KvKind, KvPart, Matrix, Op, PAGE};

use super::host::{Host, Memory};
use super::weights::unpack;

/// What activations beside whole-numbered weights are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activations {
    /// What they are.
    Kept,
    /// To the nearest of 16256 steps to either side, up to the largest magnitude of those that are
    /// rounded together: in each group of 32, where there are at least so many tokens; with fewer
    /// not at all or, `in_lines`, in what each line of 16 bytes of a group's codes has. Beside some
    /// kinds they are kept.
    Rounded { from: u32, in_lines: bool, not: &'static [Kind] },
}

/// Runs the list.
pub fn run(ops: &[Op], memory: &mut Memory, activations: Activations) {
    for op in ops {
        match *op {
            Op::Embed(op::Embed { ref table, ids, out, rows }) => {
                embed(memory, table, ids, out, rows as usize)
            }
            Op::Norm(op::Norm { x, weight, out, first_row, rows, width, eps_bits }) => {
                norm(
                    memory,
                    x,
                    weight,
                    out,
                    first_row as usize,
                    rows as usize,
                    width as usize,
                    f32::from_bits(eps_bits).into(),
                );
            }
            Op::Matmul(op::Matmul { ref w, x, out, rows, add }) => {
                matmul(memory, w, x, out, rows, add, activations)
            }
            Op::HeadNorm(op::HeadNorm { qkv, q_weight, k_weight, heads, rows, eps_bits }) => {
                head_norm(
                    memory,
                    qkv,
                    [q_weight, k_weight],
                    heads,
                    rows as usize,
                    f32::from_bits(eps_bits).into(),
                );
            }
            Op::Rope(ref op) => {
                rope(memory, op);
            }
            Op::Attend(ref op) => {
                attend(memory, op);
            }
            Op::Argmax(op::Argmax { x, allowed, out, width }) => {
                let is_allowed = |i: usize| memory.get(allowed, i / 32) as u32 >> (i % 32) & 1 == 1;
                let value = |i: usize| {
                    if memory.get(x, i).is_nan() { f64::NEG_INFINITY } else { memory.get(x, i) }
                };
                let places = (0..width as usize).filter(|&i| is_allowed(i));
                let best = places.reduce(|best, i| if value(i) > value(best) { i } else { best });
                memory.set(out, 0, best.unwrap_or(0) as f64, f64::MIN_POSITIVE);
            }
            Op::Seal(_) => unreachable!("seals have a test of their own"),
            Op::Sample(_) => unreachable!("draws have a test of their own"),
            Op::LogProbs(op) => (0..op.rows as usize).for_each(|row| log_probs(memory, op, row)),
            Op::Swiglu(op::Swiglu { gate_up, out, width, rows }) => {
                swiglu(memory, gate_up, out, width as usize, rows as usize)
            }
        }
    }
}

fn log_probs(memory: &mut Memory, op: op::LogProbs, row: usize) {
    let width = op.width as usize;
    let logits: Vec<f64> = (0..width).map(|i| memory.get(op.logits, row * width + i)).collect();
    let value = |id: usize| if logits[id].is_finite() { logits[id] } else { f64::NEG_INFINITY };
    let largest = (0..width).map(value).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = (0..width).map(|id| (value(id) - largest).exp()).sum();
    let at = row * (2 + 2 * (op.asked + op.top) as usize);
    memory.set(op.out, at, largest, 0.0);
    memory.set(op.out, at + 1, sum, sum);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
    let asked = op.asked as usize;
    let asked: Vec<usize> =
        (0..asked).map(|i| memory.get(op.ids, row * asked + i) as usize).collect();
    for (i, &id) in asked.iter().chain(&order[..op.top as usize]).enumerate() {
        memory.set(op.out, at + 2 + 2 * i, id as f64, 0.0);
        memory.set(op.out, at + 3 + 2 * i, logits[id], 0.0);
    }
}

fn embed(memory: &mut Memory, table: &Matrix, ids: Buf, out: Buf, rows: usize) {
    let table = unpack(memory, table);
    for row in 0..rows {
        for (col, &value) in table[memory.get(ids, row) as usize].iter().enumerate() {
            memory.set(out, row * table[0].len() + col, value, value.abs());
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn norm(
    memory: &mut Memory,
    x: Buf,
    weight: Buf,
    out: Buf,
    first_row: usize,
    rows: usize,
    width: usize,
    eps: f64,
) {
    for row in 0..rows {
        let from = (first_row + row) * width;
        let mean = (0..width).map(|i| memory.get(x, from + i).powi(2)).sum::<f64>() / width as f64;
        for i in 0..width {
            let value = memory.get(x, from + i) / (mean + eps).sqrt() * memory.get(weight, i);
            memory.set(out, row * width + i, value, value.abs());
        }
    }
}

fn head_norm(
    memory: &mut Memory,
    qkv: Buf,
    [q_weight, k_weight]: [Buf; 2],
    heads: Heads,
    rows: usize,
    eps: f64,
) {
    let (dim, width) = (heads.head_dim as usize, heads.qkv_width() as usize);
    for row in 0..rows {
        for head in 0..(heads.n_heads + heads.n_kv_heads) as usize {
            let weight = if head < heads.n_heads as usize { q_weight } else { k_weight };
            let at = row * width + head * dim;
            let mean = (0..dim).map(|i| memory.get(qkv, at + i).powi(2)).sum::<f64>() / dim as f64;
            for i in 0..dim {
                let value = memory.get(qkv, at + i) / (mean + eps).sqrt() * memory.get(weight, i);
                memory.set(qkv, at + i, value, value.abs());
            }
        }
    }
}

fn matmul(
    memory: &mut Memory,
    w: &Matrix,
    x: Buf,
    out: Buf,
    rows: u32,
    add: bool,
    activations: Activations,
) {
    let (weights, cols, width) = (unpack(memory, w), w.cols as usize, w.rows as usize);
    for row in 0..rows as usize {
        let x: Vec<f64> = (0..cols).map(|i| memory.get(x, row * cols + i)).collect();
        for part in &w.parts {
            let mut x = x.clone();
            for columns in rounded_together(part.kind, rows, activations) {
                x.chunks_exact_mut(32).for_each(|group| round(group, &columns));
            }
            for o in (part.first_row..part.first_row + part.rows).map(|o| o as usize) {
                let before = if add { memory.get(out, row * width + o) } else { 0.0 };
                let terms: Vec<f64> = weights[o].iter().zip(&x).map(|(w, x)| w * x).collect();
                let magnitude = before.abs() + terms.iter().map(|term| term.abs()).sum::<f64>();
                memory.set(out, row * width + o, before + terms.iter().sum::<f64>(), magnitude);
            }
        }
    }
}

/// The columns of a group of activations that are rounded together beside weights of a kind.
fn rounded_together(kind: Kind, tokens: u32, activations: Activations) -> Vec<Vec<usize>> {
    match activations {
        Activations::Rounded { not, .. } if !kind.has_scales() || not.contains(&kind) => Vec::new(),
        Activations::Rounded { from, .. } if tokens >= from => vec![(0..32).collect()],
        Activations::Rounded { in_lines: true, .. } => lines(kind),
        _ => Vec::new(),
    }
}

/// The columns of a group that each line of 16 bytes has: of 8-bit codes four, of 4-bit codes four
/// and those 16 after them.
fn lines(kind: Kind) -> Vec<Vec<usize>> {
    match kind {
        Kind::Q8 => (0..8).map(|line| (4 * line..4 * line + 4).collect()).collect(),
        _ => (0..4)
            .map(|line| (4 * line..4 * line + 4).chain(4 * line + 16..4 * line + 20).collect())
            .collect(),
    }
}

/// Some columns of a group to the nearest steps. Which of two is nearer is a question of f32, as
/// the values are.
fn round(group: &mut [f64], columns: &[usize]) {
    let largest = columns.iter().fold(0f32, |most, &i| most.max(group[i].abs() as f32));
    // Below that the inverse is beyond f32: of such all are zero.
    let inverse = if largest > 1e-30 { 16256.0 / largest } else { 0.0 };
    for &i in columns {
        group[i] =
            f64::from((group[i] as f32 * inverse).round_ties_even()) * f64::from(largest) / 16256.0;
    }
}

fn rope(memory: &mut Memory, op: &op::Rope) {
    let op::Rope { qkv, angles, step, cache, heads, rotary_dim, first_row, rows } = *op;
    let (n, kv, dim) = (heads.n_heads as usize, heads.n_kv_heads as usize, heads.head_dim as usize);
    let (first, count) = (cache.first_head as usize, cache.heads as usize);
    let (width, rotary_dim) = (heads.qkv_width() as usize, rotary_dim as usize);
    let words = words_of(memory, step, first_row);
    for row in first_row as usize..(first_row + rows) as usize {
        let position = words[0] as usize + row - first_row as usize;
        for head in first * (n / kv)..(first + count) * (n / kv) {
            for (i, (value, magnitude)) in
                rotated(memory, qkv, row * width + head * dim, angles, row, rotary_dim, dim)
                    .into_iter()
                    .enumerate()
            {
                if i < rotary_dim {
                    memory.set(qkv, row * width + head * dim + i, value, magnitude);
                }
            }
        }
        for head in 0..count {
            let key = row * width + (n + first + head) * dim;
            let value = row * width + (n + kv + first + head) * dim;
            let slot = |half| match place(&cache, half, heads.head_dim, &words, (head, position)) {
                Place::Exact(at) => at,
                Place::Sealed(_) => panic!("rows are in the open page"),
            };
            for (i, (rotated, magnitude)) in
                rotated(memory, qkv, key, angles, row, rotary_dim, dim).into_iter().enumerate()
            {
                memory.set(cache.keys, slot(0) + i, rotated, magnitude);
                let v = memory.get(qkv, value + i);
                memory.set(cache.values, slot(1) + i, v, v.abs());
            }
        }
    }
}

/// The head at `at`, rotated by a row's angles: values, and magnitudes of their terms.
fn rotated(
    memory: &Memory,
    qkv: Buf,
    at: usize,
    angles: Buf,
    row: usize,
    rotary_dim: usize,
    dim: usize,
) -> Vec<(f64, f64)> {
    let half = rotary_dim / 2;
    let element = |i: usize| memory.get(qkv, at + i);
    let pair = |a: f64, b: f64| (a + b, a.abs() + b.abs());
    let rotate = |i: usize| {
        let (cos, sin) = (
            |j| memory.get(angles, row * rotary_dim + j),
            |j| memory.get(angles, row * rotary_dim + half + j),
        );
        match i {
            _ if i < half => pair(element(i) * cos(i), -element(i + half) * sin(i)),
            _ if i < rotary_dim => {
                pair(element(i) * cos(i - half), element(i - half) * sin(i - half))
            }
            _ => pair(element(i), 0.0),
        }
    };
    (0..dim).map(rotate).collect()
}

/// Where something of a head lies in a cache's buffer.
pub enum Place {
    /// Its elements, from this one on.
    Exact(usize),
    /// Its page's words, from this one on.
    Sealed(usize),
}

/// Where a head's position lies in the keys (0) or values (1), by a step's words.
pub fn place(
    cache: &KvPart,
    half: usize,
    head_dim: u32,
    step: &[u32],
    (head, position): (usize, usize),
) -> Place {
    let (size, exact) = (PAGE as usize, cache.kind.exact_pages() as usize);
    let (page, in_page, own) = (position / size, position % size, step[0] as usize / size);
    let (words, heads) = (cache.kind.words(head_dim)[half] as usize, cache.heads as usize);
    let pages = &step[1 + 2 * exact..];
    let at = |page: u32, each: usize| {
        let elements = words * 4 / cache.kind.bytes() as usize;
        let row = head * each + in_page % each;
        Place::Exact(page as usize * heads * elements + row * head_dim as usize)
    };
    let each = size / exact.max(1);
    match exact {
        0 => at(pages[page], size),
        _ if page == 0 => at(step[1 + in_page / each], each),
        _ if page == own => at(step[1 + exact + in_page / each], each),
        _ => Place::Sealed((pages[page] as usize * heads + head) * words),
    }
}

/// The words of a step, with the position of an op's first row.
fn words_of(memory: &Memory, step: Buf, first_row: u32) -> Vec<u32> {
    let Host::U32(words) = &memory.buffers[step.0 as usize] else { panic!("a step is words") };
    let mut words = words.clone();
    words[0] += first_row;
    words
}

/// An element of a cache's keys (0) or values (1).
fn element(
    memory: &Memory,
    cache: &KvPart,
    half: usize,
    dim: usize,
    step: &[u32],
    (head, position, i): (usize, usize, usize),
) -> f64 {
    let buf = [cache.keys, cache.values][half];
    let at = match place(cache, half, dim as u32, step, (head, position)) {
        Place::Exact(at) => return memory.get(buf, at + i),
        Place::Sealed(at) => at,
    };
    let Host::F16(halves) = &memory.buffers[buf.0 as usize] else { panic!("halves") };
    let word = |at: usize| [halves[2 * at], halves[2 * at + 1]];
    sealed(cache.kind, half, dim, &|i| word(at + i), (position % PAGE as usize, i))
}

/// An element of a sealed page, whose words are pairs of halves.
pub fn sealed(
    kind: KvKind,
    half: usize,
    dim: usize,
    word: &dyn Fn(usize) -> [f16; 2],
    (row, i): (usize, usize),
) -> f64 {
    let bits = kind.code_bits().unwrap() as usize;
    let bytes = dim * bits / 8;
    let (byte, up) = (row * bytes + i % bytes, i / bytes * bits);
    let four = word(byte / 4).map(f16::to_bits);
    let byte = u64::from(four[0]) | u64::from(four[1]) << 16;
    let byte = byte >> (8 * ((row * bytes + i % bytes) % 4)) & 255;
    let code = (byte >> up) & ((1 << bits) - 1);
    let groups = kind.value_groups() as usize;
    let at = [i, row * groups + i * groups / dim][half];
    let [scale, min] = word(PAGE as usize * bytes / 4 + at).map(f64::from);
    code as f64 * scale + min
}

fn attend(memory: &mut Memory, op: &op::Attend) {
    let op::Attend { qkv, step, cache, out, heads, window, first_row, rows } = *op;
    let (n, kv, dim) = (heads.n_heads as usize, heads.n_kv_heads as usize, heads.head_dim as usize);
    let words = words_of(memory, step, first_row);
    for row in first_row as usize..(first_row + rows) as usize {
        let last = words[0] as usize + row - first_row as usize;
        let seen = (last + 1).saturating_sub(window as usize)..=last;
        for head in 0..cache.heads as usize * (n / kv) {
            let query = cache.first_head as usize * (n / kv) + head;
            let cached: Vec<[Vec<f64>; 2]> = seen
                .clone()
                .map(|p| {
                    [0, 1].map(|half| {
                        let of = |i| (head / (n / kv), p, i);
                        (0..dim)
                            .map(|i| element(memory, &cache, half, dim, &words, of(i)))
                            .collect()
                    })
                })
                .collect();
            let cached = |half: usize, p: usize, i: usize| cached[p - seen.start()][half][i];
            let product = |p: usize, i: usize| {
                memory.get(qkv, row * heads.qkv_width() as usize + query * dim + i)
                    * cached(0, p, i)
                    / (dim as f64).sqrt()
            };
            let scores: Vec<f64> =
                seen.clone().map(|p| (0..dim).map(|i| product(p, i)).sum()).collect();
            let doubt = seen
                .clone()
                .map(|p| (0..dim).map(|i| product(p, i).abs()).sum::<f64>())
                .fold(1.0, f64::max);
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|score| (score - top).exp()).sum();
            for i in 0..dim {
                let term =
                    |p: usize| (scores[p - seen.start()] - top).exp() / total * cached(1, p, i);
                let value = seen.clone().map(term).sum();
                // An error of a score is a relative error of its weight.
                let magnitude = seen.clone().map(|p| term(p).abs()).sum::<f64>() * (1.0 + doubt);
                memory.set(out, row * heads.q_width() as usize + query * dim + i, value, magnitude);
            }
        }
    }
}

fn swiglu(memory: &mut Memory, gate_up: Buf, out: Buf, width: usize, rows: usize) {
    for row in 0..rows {
        for i in 0..width {
            let (gate, up) = (
                memory.get(gate_up, 2 * row * width + i),
                memory.get(gate_up, (2 * row + 1) * width + i),
            );
            let value = gate / (1.0 + (-gate).exp()) * up;
            // WGSL's exp may err by its argument's size.
            memory.set(out, row * width + i, value, value.abs() * (1.0 + gate.abs()));
        }
    }
}
