// Lines of weights beside few tokens, in int15: the inputs of each line are rounded together. After
// int15.wgsl.

struct Inputs {
    x0: vec2<u32>,
    x1: vec2<u32>,
    step: f32, // what one stands for
    sum: f32, // of all
}

struct Weights {
    w0: vec4<u32>, // for each row the codes of four columns
    w1: vec4<u32>,
    dequantiser: Dequantiser,
}

fn inputs_of(x0: vec4<f32>, x1: vec4<f32>) -> Inputs {
    let largest = largest_of(max(abs(x0), abs(x1)));
    let inverse = inverse_step(largest);
    let int0 = vec4<i32>(round(x0 * inverse));
    let int1 = vec4<i32>(round(x1 * inverse));
    // Where a line has one four, x0 and x1 are the same, and each counts half.
    let step = 0.5 / LINES_OF_FOUR * largest / LARGEST;
    return Inputs(in_bytes(int0), in_bytes(int1), step, step * sum_of(int0 + int1));
}

fn weights_of(quad: u32, line: u32) -> Weights {
    let columns = line_columns(line);
    let dequantiser = dequantiser_of(quad * GROUPS + line / GROUP_LINES);
    return Weights(code_block(quad, columns.x), code_block(quad, columns.y), dequantiser);
}

fn product(w: Weights, inputs: Inputs) -> vec4<f32> {
    let upper = dots(w.w0, inputs.x0.x) + dots(w.w1, inputs.x1.x);
    let lower = dots(w.w0, inputs.x0.y) + dots(w.w1, inputs.x1.y);
    return dequantise(w.dequantiser, inputs.step * vec4<f32>(128 * upper + lower), inputs.sum);
}
