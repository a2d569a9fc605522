// Lines of weights beside few tokens, in whole numbers: dots of bytes, which devices do four products at a time. The inputs of a line
// become whole numbers of 15 bits, each two bytes: 128 * upper + lower. They move by at most half of 1 / LARGEST of the line's largest
// magnitude; what is computed with them is exact until a line's sum becomes a float.

// 127 in the upper byte, and nothing in the seven bits below.
const LARGEST: f32 = 16256.0;
// Lines all of whose inputs are below it count as zeros: 1 / step would be no float.
const NEGLIGIBLE: f32 = 1e-30;

struct Inputs {
    upper: vec2<u32>, // of x0 and of x1
    lower: vec2<u32>,
    step: f32, // what one is worth
    sum: f32, // of all
}

struct Weights {
    w0: vec4<u32>, // for each row the codes of four columns
    w1: vec4<u32>,
    worth: Worth,
}

fn inputs_of(x0: vec4<f32>, x1: vec4<f32>) -> Inputs {
    let magnitudes = max(abs(x0), abs(x1));
    let largest = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
    let inverse = select(0.0, LARGEST / largest, largest > NEGLIGIBLE);
    let whole0 = vec4<i32>(round(x0 * inverse));
    let whole1 = vec4<i32>(round(x1 * inverse));
    let upper0 = (whole0 + vec4<i32>(64)) >> vec4<u32>(7u);
    let upper1 = (whole1 + vec4<i32>(64)) >> vec4<u32>(7u);
    let all = whole0 + whole1;
    let upper = vec2<u32>(pack4xI8(upper0), pack4xI8(upper1));
    let lower = vec2<u32>(pack4xI8(whole0 - 128 * upper0), pack4xI8(whole1 - 128 * upper1));
    // Where a line has one four, x0 and x1 are the same, and each counts half.
    let step = 0.5 / LINES_OF_FOUR * largest / LARGEST;
    return Inputs(upper, lower, step, step * f32(all.x + all.y + all.z + all.w));
}

fn weights_of(quad: u32, line: u32) -> Weights {
    let columns = line_columns(line);
    return Weights(whole_block(quad, columns.x), whole_block(quad, columns.y), worth_of(quad * GROUPS + line / GROUP_LINES));
}

fn dots(w: Weights, x: vec2<u32>) -> vec4<i32> {
    return vec4<i32>(
        dot4I8Packed(w.w0.x, x.x) + dot4I8Packed(w.w1.x, x.y),
        dot4I8Packed(w.w0.y, x.x) + dot4I8Packed(w.w1.y, x.y),
        dot4I8Packed(w.w0.z, x.x) + dot4I8Packed(w.w1.z, x.y),
        dot4I8Packed(w.w0.w, x.x) + dot4I8Packed(w.w1.w, x.y),
    );
}

fn product(w: Weights, inputs: Inputs) -> vec4<f32> {
    let whole = 128 * dots(w, inputs.upper) + dots(w, inputs.lower);
    return worth_times(w.worth, inputs.step * vec4<f32>(whole), inputs.sum);
}
