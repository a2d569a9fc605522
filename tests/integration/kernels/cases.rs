//! The one table of kernel cases, as many lines: every backend must pass every row.
//!
//! Sizes are mostly no multiples of anything that a kernel may tile by. Outputs begin as noise and
//! end a few elements later than they need to, so that a kernel that skips an element or writes too
//! far is seen.

use phi_wasm::layout::Kind;
use phi_wasm::layout::quant::KINDS;
use phi_wasm::op::{self, Buf, Heads, KvKind, Op, PAGE};

use super::host::Host;
use super::make::{self, Make, Noise};

/// A list of ops and the memory that it begins with; `Buf(i)` means `memory[i]`.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub memory: Vec<Host>,
    pub ops: Vec<Op>,
    /// Buffers that get new contents before the same program runs a second time.
    pub then: Option<Vec<(Buf, Host)>>,
    /// For lists of ops, whose errors add up: how many times the tolerance is granted, of a
    /// buffer's largest magnitude.
    pub chained: Option<f64>,
    /// Buffers that only pass something on to the next op, so that a backend may leave them as they
    /// are.
    pub passing: Vec<Buf>,
}

/// So many columns, or as many as blocks need.
pub fn columns(kind: Kind, cols: u32) -> u32 {
    if kind.has_blocks() { cols.next_multiple_of(256) } else { cols }
}

/// All rows of a table, or every other one: shaders of the kinds that only files have share all but
/// how a code is read.
fn some<T>(kind: Kind, table: &[T]) -> impl Iterator<Item = &T> {
    let every = if !kind.has_scales() || KINDS.contains(&kind) { 1 } else { 2 };
    table.iter().step_by(every)
}

pub fn embed() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // rows, vocabulary, width, parts
        (1,      3,          32,    1),
        (5,      70,         96,    3),
        (33,     130,        192,   2),
    ];
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        for (rows, vocab, width, parts) in table {
            let (mut make, width) = (Make::new(), columns(kind, width));
            let table = make.matrix(kind, vocab, width, parts);
            // The first and the last row of the vocabulary are asked for too.
            let ids =
                make.push(Host::U32((0..rows).map(|row| (row * 31 + vocab - 1) % vocab).collect()));
            let out = make.output(rows * width);
            let name = format!("embed {kind:?} {rows} of {vocab}×{width} in {parts} parts");
            cases.push(make.case(name, vec![Op::Embed(op::Embed { table, ids, out, rows })]));
        }
    }
    cases
}

pub fn norm() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // rows, first row, width, eps
        (1,      0,         32,    1e-5),
        (1,      4,         576,   1e-5),
        (3,      2,         96,    1e-6),
        (17,     0,         3072,  1e-5),
        (70,     1,         192,   0.5),
    ];
    let make_case = |(rows, first_row, width, eps): (u32, u32, u32, f32)| {
        let mut make = Make::new();
        let (x, weight) = (make.floats((first_row + rows + 1) * width), make.floats(width));
        let out = make.output(rows * width);
        let op =
            Op::Norm(op::Norm { x, weight, out, first_row, rows, width, eps_bits: eps.to_bits() });
        make.case(format!("norm {rows} rows from {first_row} of {width}"), vec![op])
    };
    table.map(make_case).into()
}

pub fn head_norm() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // rows, n_heads, n_kv_heads, head_dim, eps
        (1,      1,       1,          32,       1e-6),
        (1,      16,      8,          128,      1e-6),
        (3,      6,       2,          96,       1e-5),
        (17,     4,       4,          64,       0.5),
        (2,      7,       1,          256,      1e-6),
    ];
    let make_case = |(rows, n_heads, n_kv_heads, head_dim, eps): (u32, u32, u32, u32, f32)| {
        let mut make = Make::new();
        let heads = Heads { n_heads, n_kv_heads, head_dim };
        let (qkv, q_weight, k_weight) =
            (make.output(rows * heads.qkv_width()), make.floats(head_dim), make.floats(head_dim));
        let op = Op::HeadNorm(op::HeadNorm {
            qkv,
            q_weight,
            k_weight,
            heads,
            rows,
            eps_bits: eps.to_bits(),
        });
        make.case(
            format!("head norm {rows} rows of {n_heads}/{n_kv_heads} heads of {head_dim}"),
            vec![op],
        )
    };
    table.map(make_case).into()
}

/// Products with few tokens.
pub fn matvec() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // tokens, rows, cols, parts, add
        (1,        1,    32,   1,     false),
        (1,        6,    96,   1,     true),
        (1,        130,  576,  2,     false),
        (1,        514,  192,  3,     true),
        (2,        5,    192,  1,     false),
        (2,        130,  96,   1,     true),
        (3,        514,  32,   2,     false),
        (5,        6,    576,  1,     false),
        (5,        37,   1088, 2,     true),
        (8,        130,  192,  1,     false),
    ];
    products(&table)
}

/// Products with more tokens.
pub fn matmul() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // tokens, rows, cols, parts, add
        (17,       66,   96,   3,     true),
        (33,       130,  576,  2,     false),
        (70,       3,    192,  1,     true),
        (70,       514,  96,   4,     false),
    ];
    products(&table)
}

fn products(table: &[(u32, u32, u32, u32, bool)]) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        for &(tokens, rows, cols, parts, add) in some(kind, table) {
            let (mut make, cols) = (Make::new(), columns(kind, cols));
            let w = make.matrix(kind, rows, cols, parts);
            let (x, out) = (make.floats(tokens * cols), make.output(tokens * rows));
            let name = format!(
                "matmul {kind:?} {tokens}×{cols} by {rows} rows in {parts} parts{}",
                if add { ", added" } else { "" }
            );
            cases.push(
                make.case(name, vec![Op::Matmul(op::Matmul { w, x, out, rows: tokens, add })]),
            );
        }
    }
    cases
}

/// All that keys and values are held in.
const KV: [KvKind; 4] = [KvKind::F16, KvKind::F32, KvKind::Int8, KvKind::Int4];

/// Rows of an op from a position on, and the first of them: where pages are sealed they are in one,
/// and may have others before them.
fn rows_of(kind: KvKind, rows: u32, pos: u32) -> (u32, u32) {
    match kind.code_bits() {
        Some(_) => (rows.min(PAGE - pos % PAGE), if pos >= PAGE { PAGE } else { 0 }),
        None => (rows, 0),
    }
}

/// Whether heads can be held so: of four bits two make a byte.
fn can_hold(kind: KvKind, head_dim: u32) -> bool {
    kind != KvKind::Int4 || head_dim.is_multiple_of(8)
}

pub fn rope() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // tokens, n_heads, n_kv_heads, head_dim, rotary_dim, pos, parts
        (1,        1,       1,          32,       32,         0,   1),
        (1,        9,       3,          64,       64,         63,  2),
        (1,        6,       2,          32,       24,         300, 1),
        (3,        24,      8,          128,      96,         1,   3),
        (5,        4,       4,          96,       0,          63,  1),
        (17,       8,       2,          128,      128,        300, 2),
        (33,       6,       2,          64,       24,         0,   1),
    ];
    let mut cases = Vec::new();
    for kind in KV {
        for (rows, n_heads, n_kv_heads, head_dim, rotary_dim, pos, parts) in table {
            let mut make = Make::new();
            let heads = Heads { n_heads, n_kv_heads, head_dim };
            let ((rows, first_row), ctx_len) = (rows_of(kind, rows, pos), pos + rows + 3);
            let (qkv, angles, step) = (
                make.floats((first_row + rows) * heads.qkv_width()),
                make.angles((first_row + rows) * rotary_dim),
                make.step(kind, pos - first_row, ctx_len),
            );
            let caches = make.caches(kind, heads, ctx_len, (pos, 0), parts);
            let op = |cache| {
                Op::Rope(op::Rope { qkv, angles, step, cache, heads, rotary_dim, first_row, rows })
            };
            let name = format!(
                "rope {kind:?} {rows} rows at {pos}, {n_heads}/{n_kv_heads} heads of {head_dim}, \
                    {rotary_dim} rotate, {parts} parts"
            );
            cases.push(make.case(name, caches.into_iter().map(op).collect()));
        }
    }
    cases
}

pub fn attend() -> Vec<Case> {
    const ALL: u32 = u32::MAX;
    #[rustfmt::skip]
    let table = [
        // tokens, n_heads, n_kv_heads, head_dim, pos, window, parts
        (1,        1,       1,          32,       0,   ALL,    1),
        (1,        9,       3,          64,       63,  ALL,    2),
        (1,        24,      8,          128,      300, ALL,    3),
        (1,        6,       2,          96,       300, 7,      1),
        (2,        4,       4,          32,       1,   1,      1),
        (3,        6,       2,          128,      63,  ALL,    1),
        (5,        8,       2,          96,       1,   3,      2),
        (17,       9,       3,          32,       300, 33,     1),
        (33,       4,       1,          64,       63,  64,     1),
        (33,       2,       2,          96,       0,   ALL,    2),
        (70,       6,       2,          32,       0,   5,      1),
        (70,       3,       1,          128,      1,   ALL,    1),
        (3,        6,       2,          20,       40,  ALL,    1),
    ];
    let mut cases = Vec::new();
    for kind in KV {
        for (rows, n_heads, n_kv_heads, head_dim, pos, window, parts) in table {
            if !can_hold(kind, head_dim) {
                continue;
            }
            let mut make = Make::new();
            let heads = Heads { n_heads, n_kv_heads, head_dim };
            let ((rows, first_row), ctx_len) = (rows_of(kind, rows, pos), pos + rows + 5);
            let (qkv, step, out) = (
                make.floats((first_row + rows) * heads.qkv_width()),
                make.step(kind, pos - first_row, ctx_len),
                make.output((first_row + rows) * heads.q_width()),
            );
            let caches = make.caches(kind, heads, ctx_len, (pos, pos + rows), parts);
            let op = |cache| {
                Op::Attend(op::Attend { qkv, step, cache, out, heads, window, first_row, rows })
            };
            let name = format!(
                "attend {kind:?} {rows} rows at {pos}, {n_heads}/{n_kv_heads} heads of \
                    {head_dim}, window {window}, {parts} parts"
            );
            cases.push(make.case(name, caches.into_iter().map(op).collect()));
        }
    }
    cases
}

pub fn swiglu() -> Vec<Case> {
    let make_case = |(rows, width): (u32, u32)| {
        let mut make = Make::new();
        // From far below to far above where exp overflows.
        let (n, mut noise) = (2 * rows * width, Noise(3));
        let gate_up = make.push(Host::F32(
            (0..n).map(|i| noise.float() * if i % 5 == 0 { 120.0 } else { 8.0 }).collect(),
        ));
        let out = make.output(rows * width);
        make.case(
            format!("swiglu {rows}×{width}"),
            vec![Op::Swiglu(op::Swiglu { gate_up, out, width, rows })],
        )
    };
    [(1, 32), (1, 1536), (2, 100), (5, 96), (33, 576), (70, 6)].map(make_case).into()
}

pub fn argmax() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // width, which are allowed, what the elements are
        (1,       1,                 1),
        (70,      1,                 1),
        (513,     3,                 1),
        (2000,    0,                 1),
        (100_003, 1,                 1),
        (100_003, 7,                 50_000), // many equals
    ];
    let mut cases = Vec::new();
    for (width, every, coarse) in table {
        let mut make = Make::new();
        let mut noise = Noise(9);
        let element = |i: u32| match i % 91 {
            13 => f32::NAN,
            17 => f32::NEG_INFINITY,
            18 => -0.0,
            _ => (noise.float() * 100_000.0 / coarse as f32).trunc() * 3.0 - 7.0,
        };
        let x = make.push(Host::F32((0..width).map(element).collect()));
        let bit = |i: u32| u32::from(every > 0 && i % every == every - 1) << (i % 32);
        let word = |word: u32| (32 * word..32 * word + 32).map(bit).fold(0, |all, bit| all | bit);
        let allowed = make.push(Host::U32((0..width.div_ceil(32)).map(word).collect()));
        let out = make.push(Host::U32(vec![99, 98]));
        let name = format!("argmax of {width}, each {every}th allowed");
        cases.push(make.case(name, vec![Op::Argmax(op::Argmax { x, allowed, out, width })]));
    }
    cases
}

pub fn log_probs() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // rows, width,   asked, top, what the elements are
        (1,      1,       1,     1,   1),
        (1,      70,      2,     0,   1),
        (3,      513,     1,     20,  1),
        (4,      2000,    33,    3,   1),
        (1,      100_003, 1,     20,  1),
        (2,      100_003, 2,     7,   50_000), // many equals
    ];
    let mut cases = Vec::new();
    for (rows, width, asked, top, coarse) in table {
        let mut make = Make::new();
        let mut noise = Noise(5);
        let element = |i: u32| match i % 91 {
            13 => f32::NAN,
            17 => f32::NEG_INFINITY,
            18 => -0.0,
            19 => f32::INFINITY,
            _ => (noise.float() * 100_000.0 / coarse as f32).trunc() * 2e-4 * coarse as f32 - 7.0,
        };
        let logits = make.push(Host::F32((0..rows * width).map(element).collect()));
        let id = |i: u32| (i * 31 + width - 1) % width;
        let ids = make.push(Host::U32((0..rows * asked).map(id).collect()));
        let out = make.output(rows * (2 + 2 * (asked + top)));
        let name = format!("{asked} of {rows}×{width} logits and the {top} most probable");
        let op = op::LogProbs { logits, ids, out, rows, asked, top, width };
        // Invocations that are few each add up many.
        cases.push(Case { chained: Some(8.0), ..make.case(name, vec![Op::LogProbs(op)]) });
    }
    cases
}

/// Ops that a backend may compute together: a norm and the product after it.
pub fn normed() -> Vec<Case> {
    #[rustfmt::skip]
    let table = [
        // tokens, first row, rows, cols, parts, add, swiglu
        (1,        0,         1,    32,   1,     false, false),
        (1,        4,         130,  576,  2,     false, false),
        (1,        0,         514,  3072, 1,     true,  false),
        (1,        0,         264,  576,  1,     false, true),
        (1,        0,         12,   96,   1,     false, true),
        (2,        0,         264,  192,  2,     false, true),
        (3,        1,         66,   192,  3,     false, false),
        (5,        0,         264,  192,  1,     false, true),
        (8,        0,         130,  576,  1,     true,  false),
        (9,        0,         264,  96,   1,     false, true),
    ];
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        for &(tokens, first_row, rows, cols, parts, add, swiglu) in some(kind, &table) {
            let (mut make, cols) = (Make::new(), columns(kind, cols));
            let w = make.matrix(kind, rows, cols, parts);
            let (x, weight) = (make.floats((first_row + tokens) * cols), make.floats(cols));
            let (h, out, gated) = (
                make.output(tokens * cols),
                make.output(tokens * rows),
                make.output(tokens * rows / 2),
            );
            let mut ops = vec![
                Op::Norm(op::Norm {
                    x,
                    weight,
                    out: h,
                    first_row,
                    rows: tokens,
                    width: cols,
                    eps_bits: 1e-5f32.to_bits(),
                }),
                Op::Matmul(op::Matmul { w, x: h, out, rows: tokens, add }),
            ];
            let mut passing = vec![h];
            if swiglu {
                ops.push(Op::Swiglu(op::Swiglu {
                    gate_up: out,
                    out: gated,
                    width: rows / 2,
                    rows: tokens,
                }));
                passing.push(out);
            }
            let then = if swiglu { ", swiglu" } else { "" };
            let name = format!(
                "norm, matmul{then} {kind:?} {tokens}×{cols} by {rows} rows in {parts} parts"
            );
            // Rounding may go the other way where the norm's last bit differs.
            cases.push(Case { passing, chained: Some(40.0), ..make.case(name, ops) });
        }
    }
    cases
}

/// Matrices of several kinds: rows of one as an embedding, and of gate and up after a norm.
pub fn mixed() -> Vec<Case> {
    use Kind::{F16, F32, IQ4NL, IQ4XS, Q2K, Q3K, Q4, Q4K, Q4Min, Q5, Q5K, Q5Min, Q6K, Q8};
    #[rustfmt::skip]
    let table = [
        // tokens, cols, kinds with their rows and parts
        (1,        576,  vec![(Q5, 64, 1), (Q8, 36, 1)]),
        (1,        256,  vec![(Q4K, 132, 2), (Q6K, 68, 1)]),
        (2,        96,   vec![(IQ4NL, 4, 1), (Q5Min, 70, 1)]),
        (5,        512,  vec![(Q2K, 12, 1), (Q3K, 64, 1), (IQ4XS, 30, 1)]),
        (17,       256,  vec![(Q6K, 8, 1), (Q5K, 36, 2), (Q6K, 66, 1)]),
        (37,       192,  vec![(Q4, 36, 1), (F16, 36, 1)]),
        (70,       96,   vec![(F32, 36, 1), (Q4Min, 128, 2), (Q8, 4, 1)]),
    ];
    let mut cases = Vec::new();
    for (tokens, cols, bands) in table {
        let rows: u32 = bands.iter().map(|(_, rows, _)| rows).sum();
        let mut make = Make::new();
        let (w, ids) = (make.banded(&bands, cols), (0..tokens).map(|id| id * 31 % rows).collect());
        let (ids, x, weight) =
            (make.push(Host::U32(ids)), make.output(tokens * cols), make.floats(cols));
        let (h, out, gated) = (
            make.output(tokens * cols),
            make.output(tokens * rows),
            make.output(tokens * rows / 2),
        );
        let (width, eps_bits) = (rows / 2, 1e-5f32.to_bits());
        let norm =
            op::Norm { x, weight, out: h, first_row: 0, rows: tokens, width: cols, eps_bits };
        let ops = vec![
            Op::Embed(op::Embed { table: w.clone(), ids, out: x, rows: tokens }),
            Op::Norm(norm),
            Op::Matmul(op::Matmul { w, x: h, out, rows: tokens, add: false }),
            Op::Swiglu(op::Swiglu { gate_up: out, out: gated, width, rows: tokens }),
        ];
        let case = make.case(format!("{tokens}×{cols} by {bands:?}"), ops);
        cases.push(Case { passing: vec![h], chained: Some(40.0), ..case });
    }
    cases
}

/// Ops that a GPU does together: one token's rope and attention.
pub fn attend_token() -> Vec<Case> {
    const ALL: u32 = u32::MAX;
    #[rustfmt::skip]
    let table = [
        // n_heads, n_kv_heads, head_dim, rotary_dim, pos,  window, parts
        (1,         1,          32,       32,         0,    ALL,    1),
        (9,         3,          64,       64,         63,   ALL,    2),
        (24,        8,          128,      96,         300,  ALL,    3),
        (6,         2,          96,       24,         64,   ALL,    1),
        (6,         2,          96,       0,          300,  7,      1),
        (4,         4,          32,       16,         1200, 1,      1),
        (8,         2,          20,       20,         1023, ALL,    2),
        (4,         1,          64,       64,         2500, 1100,   1),
        (10,        2,          32,       32,         90,   ALL,    1),
        (14,        2,          64,       64,         700,  ALL,    2),
        (9,         1,          128,      128,        65,   40,     1),
    ];
    let mut cases = Vec::new();
    for kind in KV {
        for (n_heads, n_kv_heads, head_dim, rotary_dim, pos, window, parts) in table {
            let mut make = Make::new();
            let heads = Heads { n_heads, n_kv_heads, head_dim };
            if !can_hold(kind, head_dim) {
                continue;
            }
            let (first_row, rows) = (0, 1);
            let qkv = make.floats(heads.qkv_width());
            let (angles, step) = (make.angles(rotary_dim), make.step(kind, pos, pos + 5));
            let out = make.output(heads.q_width());
            let caches = make.caches(kind, heads, pos + 5, (pos, pos), parts);
            let both = |cache| {
                let rope =
                    op::Rope { qkv, angles, step, cache, heads, rotary_dim, first_row, rows };
                let attend = op::Attend { qkv, step, cache, out, heads, window, first_row, rows };
                [Op::Rope(rope), Op::Attend(attend)]
            };
            let name = format!(
                "rope, attend {kind:?} at {pos}, {n_heads}/{n_kv_heads} heads of {head_dim}, \
                    {rotary_dim} rotate, window {window}, {parts} parts"
            );
            let case = make.case(name, caches.into_iter().flat_map(both).collect());
            cases.push(Case {
                passing: vec![qkv],
                chained: Some(if kind == KvKind::F32 { 20.0 } else { 400.0 }),
                ..case
            });
        }
    }
    cases
}

/// What ops hand on, read once more by an op that comes later: then it has to be there.
pub fn read_again() -> Vec<Case> {
    const TOKENS: u32 = 2;
    const COLS: u32 = 192;
    const ROWS: u32 = 264;
    let make_case = |name: &str, swiglu: bool, of_norm: bool| {
        let mut make = Make::new();
        let (w, other) = (make.matrix(Kind::Q4, ROWS, COLS, 1), make.matrix(Kind::Q4, 20, COLS, 1));
        let (x, weight, h) =
            (make.floats(TOKENS * COLS), make.floats(COLS), make.output(TOKENS * COLS));
        let (out, act, last) =
            (make.output(TOKENS * ROWS), make.output(TOKENS * ROWS / 2), make.output(TOKENS * 20));
        let gate = Op::Swiglu(op::Swiglu { gate_up: out, out: act, width: ROWS / 2, rows: TOKENS });
        let mut ops = vec![
            Op::Norm(op::Norm {
                x,
                weight,
                out: h,
                first_row: 0,
                rows: TOKENS,
                width: COLS,
                eps_bits: 1e-5f32.to_bits(),
            }),
            Op::Matmul(op::Matmul { w, x: h, out, rows: TOKENS, add: false }),
        ];
        ops.extend(swiglu.then_some(gate));
        ops.push(Op::Matmul(op::Matmul {
            w: other,
            x: if of_norm { h } else { out },
            out: last,
            rows: TOKENS,
            add: false,
        }));
        Case {
            chained: Some(40.0),
            passing: vec![if of_norm { out } else { h }],
            ..make.case(name.into(), ops)
        }
    };
    vec![
        Case { passing: Vec::new(), ..make_case("norm and two matmuls after it", false, true) },
        make_case("norm, matmul, swiglu, and a matmul of the norm", true, true),
        make_case("norm, matmul, swiglu, and a matmul of gate and up", true, false),
        queries_read_again(),
    ]
}

/// Queries that are attended to once more, with a window, after they were rotated.
fn queries_read_again() -> Case {
    let mut make = Make::new();
    let heads = Heads { n_heads: 6, n_kv_heads: 2, head_dim: 32 };
    let (kind, pos, rotary_dim) = (KvKind::F32, 40, 24);
    let (qkv, angles, step) =
        (make.floats(heads.qkv_width()), make.angles(rotary_dim), make.step(kind, pos, pos + 5));
    let (out, again) = (make.output(heads.q_width()), make.output(heads.q_width()));
    let cache = make.caches(kind, heads, pos + 5, (pos, pos), 1)[0];
    let (first_row, rows) = (0, 1);
    let attend = |out, window| {
        Op::Attend(op::Attend { qkv, step, cache, out, heads, window, first_row, rows })
    };
    let rope = Op::Rope(op::Rope { qkv, angles, step, cache, heads, rotary_dim, first_row, rows });
    let ops = vec![rope, attend(out, u32::MAX), attend(again, 7)];
    Case { chained: Some(20.0), ..make.case("rope, attend, and attend once more".into(), ops) }
}

/// A whole small model, so that ops see what those before them wrote; run twice, at two positions.
pub fn program() -> Vec<Case> {
    let mut cases = Vec::new();
    #[rustfmt::skip]
    let table = [
        // weights, cache,    rows, norms of heads
        (Kind::Q4,    KvKind::F16, 1,  false),
        (Kind::Q4Min, KvKind::F32, 3,  false),
        (Kind::F32,   KvKind::F32, 17, false),
        (Kind::Q8,    KvKind::F16, 5,  false),
        (Kind::Q4Min, KvKind::F16, 37, false),
        (Kind::Q4,    KvKind::F32, 1,  true),
        (Kind::Q8,    KvKind::F32, 9,  true),
        (Kind::Q5,    KvKind::F16, 1,  false),
    ];
    for (kind, kv, rows, head_norms) in table {
        let mut make = Make::new();
        let heads = Heads { n_heads: 6, n_kv_heads: 2, head_dim: 32 };
        let (hidden, inner, vocab, rotary_dim, eps_bits) = (192, 160, 70, 24, 1e-5f32.to_bits());
        let (ids, step, angles) = (
            make.push(Host::U32((0..rows).collect())),
            make.step(kv, 0, 3 * rows),
            make.angles(rows * rotary_dim),
        );
        let (embedding, qkv_proj) =
            (make.matrix(kind, vocab, hidden, 2), make.matrix(kind, heads.qkv_width(), hidden, 1));
        let (o_proj, gate_up_proj) = (
            make.matrix(kind, hidden, heads.q_width(), 1),
            make.matrix(kind, 2 * inner, hidden, 2),
        );
        let (down_proj, weight) = (make.matrix(kind, hidden, inner, 1), make.floats(hidden));
        let (x, h, qkv) = (
            make.output(rows * hidden),
            make.output(rows * hidden),
            make.output(rows * heads.qkv_width()),
        );
        let (attended, gate_up, act) = (
            make.output(rows * heads.q_width()),
            make.output(2 * rows * inner),
            make.output(rows * inner),
        );
        let (last, logits) = (make.output(hidden), make.output(vocab));
        let cache = make.caches(kv, heads, 3 * rows, (0, 0), 1)[0];
        let norm = |out, first_row, rows| {
            Op::Norm(op::Norm { x, weight, out, first_row, rows, width: hidden, eps_bits })
        };
        let (q_weight, k_weight) = (make.floats(heads.head_dim), make.floats(heads.head_dim));
        let mut ops = vec![
            Op::Embed(op::Embed { table: embedding.clone(), ids, out: x, rows }),
            norm(h, 0, rows),
            Op::Matmul(op::Matmul { w: qkv_proj, x: h, out: qkv, rows, add: false }),
            Op::Rope(op::Rope { qkv, angles, step, cache, heads, rotary_dim, first_row: 0, rows }),
            Op::Attend(op::Attend {
                qkv,
                step,
                cache,
                out: attended,
                heads,
                window: u32::MAX,
                first_row: 0,
                rows,
            }),
            Op::Matmul(op::Matmul { w: o_proj, x: attended, out: x, rows, add: true }),
            norm(h, 0, rows),
            Op::Matmul(op::Matmul { w: gate_up_proj, x: h, out: gate_up, rows, add: false }),
            Op::Swiglu(op::Swiglu { gate_up, out: act, width: inner, rows }),
            Op::Matmul(op::Matmul { w: down_proj, x: act, out: x, rows, add: true }),
            norm(last, rows - 1, 1),
            Op::Matmul(op::Matmul { w: embedding, x: last, out: logits, rows: 1, add: false }),
        ];
        if head_norms {
            ops.insert(
                3,
                Op::HeadNorm(op::HeadNorm { qkv, q_weight, k_weight, heads, rows, eps_bits }),
            );
        }
        let norms = if head_norms { ", norms of heads" } else { "" };
        let mut case = make.case(format!("program {kind:?} {kv:?} {rows} rows{norms}, twice"), ops);
        case.passing = vec![h, qkv, gate_up, last];
        case.then = Some(vec![
            (step, make::step(kv, rows, 3 * rows)),
            (ids, Host::U32((0..rows).map(|row| vocab - 1 - row).collect())),
        ]);
        // A cached f16 may round the other way, and all that follows sees it.
        case.chained = Some(if kv == KvKind::F16 { 2000.0 } else { 20.0 });
        cases.push(case);
    }
    cases
}
