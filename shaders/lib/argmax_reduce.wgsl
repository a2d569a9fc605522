// The better of candidates for the largest: a key that orders floats as they are ordered, and where
// it came from.

override WG: u32 = 64u;

const NONE: vec2<u32> = vec2<u32>(0u, 0xffffffffu);

var<workgroup> bests: array<vec2<u32>, WG>;

// Ordered as the floats are, with NaN below all, and above 0, which is nothing at all.
fn key(bits: u32) -> u32 {
    if (bits & 0x7fffffffu) > 0x7f800000u {
        return 1u;
    }
    // Both zeros are equal.
    let value = select(bits, 0u, bits == 0x80000000u);
    return select(value | 0x80000000u, ~value, value >= 0x80000000u);
}

// The larger key, the earlier among equals.
fn better(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let second = b.x > a.x || (b.x == a.x && b.y < a.y);
    return select(a, b, second);
}

// The best of a workgroup's; the first invocation gets it.
fn best_of_workgroup(own: vec2<u32>, lane: u32) -> vec2<u32> {
    bests[lane] = own;
    workgroupBarrier();
    for (var width = WG; width > 1u;) {
        let kept = (width + 1u) / 2u;
        if lane + kept < width {
            bests[lane] = better(bests[lane], bests[lane + kept]);
        }
        width = kept;
        workgroupBarrier();
    }
    return bests[0];
}
