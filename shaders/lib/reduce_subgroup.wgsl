// Sums and maxima over a workgroup of WG invocations, by subgroups of any width from 4 up, wider
// than the workgroup too. Every invocation must call them, and every one gets the result.

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_size) width: u32,
}

// One for each subgroup. That subgroups are runs of invocations is everywhere so but promised
// nowhere: the known-answer check at start would notice.
var<workgroup> gathering: array<vec4<f32>, (WG + 3u) / 4u>;

fn workgroup_sum4(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    let sum = subgroupAdd(value);
    if lane.in_subgroup == 0u {
        gathering[lane.index / lane.width] = sum;
    }
    workgroupBarrier();
    var total = gathering[0];
    for (var i = 1u; i * lane.width < WG; i++) {
        total += gathering[i];
    }
    workgroupBarrier(); // Until all have read them, nobody may start the next reduction.
    return total;
}

fn workgroup_max4(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    let found = subgroupMax(value);
    if lane.in_subgroup == 0u {
        gathering[lane.index / lane.width] = found;
    }
    workgroupBarrier();
    var largest = gathering[0];
    for (var i = 1u; i * lane.width < WG; i++) {
        largest = max(largest, gathering[i]);
    }
    workgroupBarrier();
    return largest;
}

fn workgroup_sum(value: f32, lane: Lane) -> f32 {
    let sum = subgroupAdd(value);
    if lane.in_subgroup == 0u {
        gathering[lane.index / lane.width].x = sum;
    }
    workgroupBarrier();
    var total = gathering[0].x;
    for (var i = 1u; i * lane.width < WG; i++) {
        total += gathering[i].x;
    }
    workgroupBarrier();
    return total;
}
