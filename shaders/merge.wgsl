// Merges what attend_token.wgsl found of the runs of a query head: a workgroup for each head, an
// invocation for four elements.

override FOURS: u32 = 16u; // head_dim / 4
override SPLITS: u32 = 1u;

struct Params {
    first_head: u32, // first query head of the part
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>; // [heads, SPLITS, FOURS + 1]
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>; // [1, n_heads * FOURS]

@compute @workgroup_size(FOURS)
fn main(@builtin(local_invocation_index) four: u32, @builtin(workgroup_id) id: vec3<u32>) {
    var m = partials[id.x * SPLITS * (FOURS + 1u) + FOURS].x; // the first run is never empty
    var l = 0.0;
    var sum = vec4<f32>();
    for (var split = 0u; split < SPLITS; split++) {
        let at = (id.x * SPLITS + split) * (FOURS + 1u);
        let about = partials[at + FOURS]; // its largest score, and its weights' sum
        let before = m;
        m = max(before, about.x);
        let alpha = exp(before - m);
        let p = exp(about.x - m);
        l = l * alpha + about.y * p;
        sum = sum * alpha + partials[at + four] * p;
    }
    out[(params.first_head + id.x) * FOURS + four] = sum / l;
}
