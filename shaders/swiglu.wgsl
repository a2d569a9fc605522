// out[r, i] = silu(gate_up[r, i]) * gate_up[r, width + i]: an invocation for each element.

override WG: u32 = 64u;

struct Params {
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate_up: array<f32>; // [rows, 2 * width]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [rows, width]

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.width {
        return;
    }
    let start = id.y * 2u * params.width + id.x;
    out[id.y * params.width + id.x] = silu(gate_up[start]) * gate_up[start + params.width];
}
