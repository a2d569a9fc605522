// Pipelines that are compiled beside everything else: as long as a browser compiles one at once, no
// page that it shows is drawn. wgpu asks for them at once (gfx-rs/wgpu issue 3794), and gets a
// stand-in until they are there.

const compiling = new Set();

class StandIn {
  constructor(now, later) {
    this.now = now;
    const toFailure = later.then(
      (pipeline) => void (this.pipeline = pipeline),
      (failure) => failure,
    );
    compiling.add(toFailure);
  }
}

/** Has all devices compile so from now on. */
export function compileAside() {
  const [device, pass] = [
    globalThis.GPUDevice?.prototype,
    globalThis.GPUComputePassEncoder?.prototype,
  ];
  if (!device || device.createComputePipeline.isAside) return;
  const { createComputePipeline } = device;
  const { setPipeline } = pass;
  device.createComputePipeline = function (descriptor) {
    return new StandIn(
      () => createComputePipeline.call(this, descriptor),
      this.createComputePipelineAsync(descriptor),
    );
  };
  device.createComputePipeline.isAside = true;
  pass.setPipeline = function (pipeline) {
    // Who does not wait has it compiled at once.
    setPipeline.call(
      this,
      pipeline instanceof StandIn ? (pipeline.pipeline ??= pipeline.now()) : pipeline,
    );
  };
}

/** Waits for all that were asked for. Resolves with why one cannot be had, if so. */
export async function compiled() {
  const waited = [...compiling];
  compiling.clear();
  const failures = await Promise.all(waited);
  return failures.find(Boolean)?.message;
}
