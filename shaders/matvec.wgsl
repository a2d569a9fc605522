// out[r] = w · x[r], or out[r] += w · x[r], for few tokens: a workgroup for each quad of four rows and each token.

override WG: u32 = 64u;
override GROUPS: u32 = 1u; // of 32 columns

struct Params {
    rows: u32, // of the whole matrix: the width of out
    first_row: u32, // of the part
    part_rows: u32,
    add: u32, // 1 to add to what out holds
}

@group(0) @binding(0) var<uniform> params: Params;
// Bindings 1 to 3, the weights, come with their kind.
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>; // [tokens, 8 * GROUPS]
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [tokens, rows]

fn input4(token: u32, column4: u32) -> vec4<Real> {
    return real4(x[token * 8u * GROUPS + column4]);
}

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
    let quad = id.y * grid.x + id.x;
    if 4u * quad >= params.part_rows {
        return;
    }
    var sum = vec4<f32>();
    for (var line = lane.index; line < GROUPS * GROUP_LINES; line += WG) {
        let columns = line_columns(line);
        sum += line_dot(quad, line, input4(id.z, columns.x), input4(id.z, columns.y));
    }
    let total = workgroup_sum4(sum, lane);
    for (var i = lane.index; i < 4u; i += WG) {
        let row = 4u * quad + i;
        if row < params.part_rows {
            let at = id.z * params.rows + params.first_row + row;
            out[at] = total[i] + select(0.0, out[at], params.add == 1u);
        }
    }
}
