// What kernels for few tokens share: the products of QUADS quads of four rows with TOKENS tokens.
// Weights are read once for all tokens, and each workgroup reads its tokens, and takes their norms,
// once for all its quads.

override GROUPS: u32 = 1u; // of 32 columns

@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>; // [x_row + TOKENS, 8 * GROUPS]

// w · x[x_row + token] for each quad and token: [QUADS, TOKENS]. Every invocation must call it, and
// every one gets the result.
fn products(quads: array<u32, QUADS>, lane: Lane) -> array<vec4<f32>, QUADS * TOKENS> {
    var sums: array<vec4<f32>, QUADS * TOKENS>;
    var powers: array<f32, TOKENS>;
    for (var line = lane.index; line < GROUPS * GROUP_LINES; line += WG) {
        let columns = line_columns(line);
        for (var q = 0u; q < QUADS; q++) {
            let w = weights_of(quads[q], line);
            for (var token = 0u; token < TOKENS; token++) {
                let row = (params.x_row + token) * 8u * GROUPS;
                let x0 = x[row + columns.x];
                let x1 = x[row + columns.y];
                if q == 0u {
                    powers[token] += power(x0) + power(x1);
                }
                let inputs = inputs_of(weighed(x0, columns.x), weighed(x1, columns.y));
                sums[q * TOKENS + token] += product(w, inputs);
            }
        }
    }
    for (var token = 0u; token < TOKENS; token++) {
        let size = size_of(powers[token], lane);
        for (var q = 0u; q < QUADS; q++) {
            sums[q * TOKENS + token] = workgroup_sum4(sums[q * TOKENS + token], lane) * size;
        }
    }
    return sums;
}
