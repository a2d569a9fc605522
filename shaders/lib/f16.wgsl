// Products are computed in half precision, at most four of them summed before they go on in single
// precision.

alias Real = f16;

// Four products with weights up to one then stay below the largest half, 65504.
const REAL_MAX: f32 = 16376.0;

fn real4(v: vec4<f32>) -> vec4<Real> {
    return vec4<Real>(clamp(v, vec4<f32>(-REAL_MAX), vec4<f32>(REAL_MAX)));
}
