/** Has every device asked for from now on come with subgroups; false where the adapter has none. */
export async function requestSubgroups() {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (!adapter?.features.has("subgroups")) return false;
  const prototype = Object.getPrototypeOf(adapter);
  const requestDevice = prototype.requestDevice;
  if (requestDevice.asksForSubgroups) return true;
  prototype.requestDevice = function (descriptor = {}) {
    const features = new Set(descriptor.requiredFeatures ?? []);
    if (this.features.has("subgroups")) features.add("subgroups");
    return requestDevice.call(this, { ...descriptor, requiredFeatures: [...features] });
  };
  prototype.requestDevice.asksForSubgroups = true;
  return true;
}
