// The better of candidates for the largest: a key that orders floats as they are ordered, and where it came from.

override WG: u32 = 64u;

const NONE: vec2<u32> = vec2<u32>(0u, 0xffffffffu);

var<workgroup> candidates: array<vec2<u32>, WG>;

// The larger key, the earlier among equals.
fn better(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let second = b.x > a.x || (b.x == a.x && b.y < a.y);
    return select(a, b, second);
}

// The best of a workgroup's; the first invocation gets it.
fn best_of_workgroup(own: vec2<u32>, lane: u32) -> vec2<u32> {
    candidates[lane] = own;
    workgroupBarrier();
    for (var width = WG; width > 1u;) {
        let kept = (width + 1u) / 2u;
        if lane + kept < width {
            candidates[lane] = better(candidates[lane], candidates[lane + kept]);
        }
        width = kept;
        workgroupBarrier();
    }
    return candidates[0];
}
