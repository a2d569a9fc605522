// wgpu's browser backend does not pass the feature on (gfx-rs/wgpu issue 10146): until it does,
// this does.

/**
 * Has every device asked for from now on come with subgroups, unless that is refused; false where
 * the adapter has none.
 */
export async function requestSubgroups() {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (!adapter?.features.has("subgroups")) return false;
  const prototype = Object.getPrototypeOf(adapter);
  const requestDevice = prototype.requestDevice;
  if (requestDevice.asksForSubgroups) return true;
  prototype.requestDevice = function (descriptor = {}) {
    if (!this.features.has("subgroups")) return requestDevice.call(this, descriptor);
    const features = new Set(descriptor.requiredFeatures).add("subgroups");
    const device = requestDevice.call(this, { ...descriptor, requiredFeatures: [...features] });
    // Some adapters list what they then refuse.
    return device.catch(() => requestDevice.call(this, descriptor));
  };
  prototype.requestDevice.asksForSubgroups = true;
  return true;
}

/**
 * What a browser says of its adapter beside the description that wgpu passes on, and which most
 * keep to themselves.
 */
export async function adapterName() {
  const { vendor, architecture, device } =
    (await globalThis.navigator?.gpu?.requestAdapter({ powerPreference: "high-performance" }))
      ?.info ?? {};
  return `${vendor} ${architecture} ${device}`;
}
