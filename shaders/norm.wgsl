// out[r] = x[first_row + r] / sqrt(mean(x²) + eps) * weight: a workgroup for each row.

override WG: u32 = 64u;

struct Params {
    first_row: u32,
    width4: u32, // vectors of four in a row
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [first_row + rows, width4]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>; // [width4]
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>; // [rows, width4]

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>) {
    let start = (params.first_row + id.x) * params.width4;
    var squares = vec4<f32>();
    for (var i = lane.index; i < params.width4; i += WG) {
        let v = x[start + i];
        squares += v * v;
    }
    let sum = workgroup_sum(dot(squares, vec4<f32>(1.0)), lane);
    let scale = 1.0 / sqrt(sum / f32(4u * params.width4) + params.eps);
    for (var i = lane.index; i < params.width4; i += WG) {
        out[id.x * params.width4 + i] = x[start + i] * scale * weight[i];
    }
}
