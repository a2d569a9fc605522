// Makes each query head and each key head its RMS norm, in place: a workgroup for each head of each
// row.

override WG: u32 = 64u;

struct Params {
    n_heads: u32,
    n_kv_heads: u32,
    width4: u32, // vectors of four in a head
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q_weight: array<vec4<f32>>; // [width4]
@group(0) @binding(2) var<storage, read> k_weight: array<vec4<f32>>; // [width4]
// [rows, (n_heads + 2 * n_kv_heads) * width4]
@group(0) @binding(3) var<storage, read_write> qkv: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>) {
    let start = (id.y * (params.n_heads + 2u * params.n_kv_heads) + id.x) * params.width4;
    var squares = vec4<f32>();
    for (var i = lane.index; i < params.width4; i += WG) {
        let v = qkv[start + i];
        squares += v * v;
    }
    let sum = workgroup_sum(dot(squares, vec4<f32>(1.0)), lane);
    let scale = 1.0 / sqrt(sum / f32(4u * params.width4) + params.eps);
    // Nobody else reads or writes the elements of an invocation.
    for (var i = lane.index; i < params.width4; i += WG) {
        let weight = select(k_weight[i], q_weight[i], id.x < params.n_heads);
        qkv[start + i] *= scale * weight;
    }
}
