// Lines of weights beside few tokens, as floats.

struct Inputs {
    x0: vec4<Real>,
    x1: vec4<Real>,
}

alias Weights = Line;

fn inputs_of(x0: vec4<f32>, x1: vec4<f32>) -> Inputs {
    return Inputs(real4(x0), real4(x1));
}

fn weights_of(quad: u32, line: u32) -> Weights {
    return line_of(quad, line);
}

fn product(w: Weights, inputs: Inputs) -> vec4<f32> {
    return line_dot(w, inputs.x0, inputs.x1);
}
