// Sums and maxima over a workgroup of WG invocations, through workgroup memory: for every device.
// Every invocation must call them, and every one gets the result.

struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> gathering: array<vec4<f32>, WG>;

fn workgroup_sum4(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    gathering[lane.index] = value;
    workgroupBarrier();
    for (var width = WG; width > 1u;) {
        let kept = (width + 1u) / 2u;
        if lane.index + kept < width {
            gathering[lane.index] += gathering[lane.index + kept];
        }
        width = kept;
        workgroupBarrier();
    }
    let total = gathering[0];
    workgroupBarrier(); // Until all have read it, nobody may start the next reduction.
    return total;
}

fn workgroup_sum(value: f32, lane: Lane) -> f32 {
    return workgroup_sum4(vec4<f32>(value, 0.0, 0.0, 0.0), lane).x;
}

fn workgroup_max4(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    gathering[lane.index] = value;
    workgroupBarrier();
    for (var width = WG; width > 1u;) {
        let kept = (width + 1u) / 2u;
        if lane.index + kept < width {
            gathering[lane.index] = max(gathering[lane.index], gathering[lane.index + kept]);
        }
        width = kept;
        workgroupBarrier();
    }
    let largest = gathering[0];
    workgroupBarrier();
    return largest;
}
