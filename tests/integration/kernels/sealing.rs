//! Pages that are sealed: codes are the nearest to what was there, and nothing else changes.

use half::f16;
use phi_wasm::backend::Backend;
use phi_wasm::op::{self, Heads, KvKind, Op, PAGE};

use super::host::Host;
use super::make::Make;
use super::oracle::{Place, place, sealed};
use super::runner;

/// Beside half a step of the codes: what the scale, which is a half, is off, of the range.
const SCALE: f64 = 1e-3;

/// Seals pages of every kind on a backend.
pub async fn check<B: Backend>(backend: &mut B) {
    #[rustfmt::skip]
    let table = [
        // n_kv_heads, head_dim, pos, rows, whether the page is sealed
        (2,            64,       127, 1,    true),
        (3,            128,      64,  64,   true),
        (1,            96,       200, 56,   true),
        (2,            32,       100, 27,   false),
        (1,            64,       63,  1,    false),
        (2,            24,       191, 1,    true),
    ];
    for kind in [KvKind::Int8, KvKind::Int4] {
        for (n_kv_heads, head_dim, pos, rows, is_sealed) in table {
            let heads = Heads { n_heads: n_kv_heads, n_kv_heads, head_dim };
            let name = format!("seal {kind:?} {n_kv_heads} heads of {head_dim}, {rows} at {pos}");
            one(backend, kind, heads, (pos, rows), (is_sealed, &name)).await;
        }
    }
}

async fn one<B: Backend>(
    backend: &mut B,
    kind: KvKind,
    heads: Heads,
    (pos, rows): (u32, u32),
    (is_sealed, name): (bool, &str),
) {
    let mut make = Make::new();
    let first_row = if pos >= PAGE { PAGE } else { 0 };
    let step = make.step(kind, pos - first_row, pos + rows + 1);
    let cache = make.caches(kind, heads, pos + rows + 1, (pos, pos + rows), 1)[0];
    let seal = Op::Seal(op::Seal { step, cache, heads, first_row, rows });
    let case = make.case(name.to_owned(), vec![seal]);
    let (handles, program) = runner::load(backend, &case).unwrap();
    backend.run(&program).unwrap();
    let Host::U32(words) = &case.memory[step.0 as usize] else { panic!("a step is words") };
    let mut words = words.clone();
    words[0] = pos;
    for (half, buf) in [cache.keys, cache.values].into_iter().enumerate() {
        let Host::F16(before) = &case.memory[buf.0 as usize] else { panic!("halves") };
        let mut bytes = vec![0; 2 * before.len()];
        backend.read(handles[buf.0 as usize], 0, &mut bytes).await.unwrap();
        let mut after: Vec<f16> = bytemuck::pod_collect_to_vec(&bytes);
        if is_sealed {
            let page = Page { kind, half, dim: heads.head_dim as usize, words: &words, name };
            for head in 0..heads.n_kv_heads as usize {
                page.is_nearest(&cache, head, before, &mut after);
            }
        }
        let same = before.iter().zip(&after).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{name}: more than the page has changed");
    }
    drop(program);
    handles.into_iter().for_each(|buf| backend.free(buf));
}

/// The page of a step's position.
struct Page<'a> {
    kind: KvKind,
    half: usize,
    dim: usize,
    words: &'a [u32],
    name: &'a str,
}

impl Page<'_> {
    /// Compares a head's codes with what they are of, then puts what was there before in their
    /// place.
    fn is_nearest(&self, cache: &op::KvPart, head: usize, before: &[f16], after: &mut [f16]) {
        let (size, dim) = (PAGE as usize, self.dim);
        let first = self.words[0] as usize / size * size;
        let element = |row: usize, i: usize| {
            let at = (head, first + row);
            match place(cache, self.half, dim as u32, self.words, at) {
                Place::Exact(at) => f64::from(before[at + i]),
                Place::Sealed(_) => panic!("the page is open"),
            }
        };
        // A step in the next page sees this one as codes.
        let mut later = self.words.to_vec();
        later[0] = (first + size) as u32;
        let Place::Sealed(at) = place(cache, self.half, dim as u32, &later, (head, first)) else {
            panic!("the page is sealed")
        };
        let words = self.kind.words(dim as u32)[self.half] as usize;
        let halves = &mut after[2 * at..2 * (at + words)];
        let groups = self.kind.value_groups() as usize;
        let largest = ((1u32 << self.kind.code_bits().unwrap()) - 1) as f64;
        for (row, i) in (0..size).flat_map(|row| (0..dim).map(move |i| (row, i))) {
            let with: Vec<f64> = match self.half {
                0 => (0..size).map(|row| element(row, i)).collect(),
                _ => (0..dim)
                    .filter(|j| j * groups / dim == i * groups / dim)
                    .map(|j| element(row, j))
                    .collect(),
            };
            let range = with.iter().copied().fold(f64::MIN, f64::max)
                - with.iter().copied().fold(f64::MAX, f64::min);
            let word = |at: usize| [halves[2 * at], halves[2 * at + 1]];
            let found = sealed(self.kind, self.half, dim, &word, (row, i));
            let off = (found - element(row, i)).abs();
            let most = range * (0.5 / largest + SCALE);
            assert!(off <= most, "{}: {off} off, where {most} is the most", self.name);
        }
        halves.copy_from_slice(&before[2 * at..2 * (at + words)]);
    }
}
