// Trusted Types: a page whose Content-Security-Policy asks for them starts scripts and writes
// markup by way of a policy alone. This is the one that it has to name.

interface Policy {
  createHTML(markup: string): string;
  createScriptURL(address: string): string;
}

const NAME = "phi-wasm";

let made: Policy | undefined;

/**
 * Undefined where the browser has no such thing, or the page does not name it: what the browser
 * then refuses tells of itself.
 */
export function policy(): Policy | undefined {
  try {
    return (made ??= (
      globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } }
    ).trustedTypes?.createPolicy(NAME, {
      // Only for what was cleaned before, or is about to be.
      createHTML: (markup) => markup,
      createScriptURL: ofThisSite,
    }));
  } catch {
    return undefined;
  }
}

/** An address of this site, or of what this page has made itself. */
function ofThisSite(address: string): string {
  if (new URL(address, globalThis.document?.baseURI ?? location.href).origin === location.origin)
    return address;
  throw new TypeError(`${address} is of another site, and no script of this one`);
}

/** A script's address as the page may start it. */
export function trustedScript(address: string): string {
  return policy()?.createScriptURL(address) ?? address;
}
