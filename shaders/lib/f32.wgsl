// Products are computed in single precision.

alias Real = f32;

fn real4(v: vec4<f32>) -> vec4<Real> {
    return v;
}
