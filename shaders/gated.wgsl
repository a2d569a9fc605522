// out[r] = silu(gate · x[r]) * (up · x[r]) for TOKENS tokens: a workgroup for each quad of four rows of gate, and of as many of up,
// which lie in one matrix, gate's first. It takes the RMS norms of x's rows.

override WG: u32 = 64u;

struct Params {
    width: u32, // rows of gate, and of up: a multiple of 4
    x_row: u32, // of x, where the tokens begin
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Bindings 1 to 3, the weights, come with their kind; 4 and 5 are the input and the norm's weights.
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [TOKENS, width]

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
    let quad = id.y * grid.x + id.x;
    if 4u * quad >= params.width {
        return;
    }
    var gates = products(quad, lane);
    var ups = products(quad + params.width / 4u, lane);
    for (var i = lane.index; i < 4u * TOKENS; i += WG) {
        out[i / 4u * params.width + 4u * quad + i % 4u] = silu(gates[i / 4u][i % 4u]) * ups[i / 4u][i % 4u];
    }
}
