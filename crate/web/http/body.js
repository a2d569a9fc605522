/** Bytes that are taken from the browser at once, at the most. */
const PIECE = 1 << 18;

/** What pieces of bodies that were read have lain in, for those to come. */
const spare = [];

/**
 * What gives a body's next piece at each call, and nothing at the end. A piece takes the memory of
 * the one before, where the browser lets it: otherwise each has its own, which browsers put off
 * collecting until a fast download has made more rubbish than a phone has memory for. Once `signal`
 * ends the body, the memory is another's.
 */
export function piecesOf(body, signal) {
  let reader;
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    reader = body.getReader();
  }
  // A browser that knows no options does not look at them.
  let memory =
    self.ReadableStreamBYOBReader &&
    reader instanceof ReadableStreamBYOBReader &&
    (spare.pop() ?? new ArrayBuffer(PIECE));
  // Under a read that is not over it has no bytes.
  signal.addEventListener("abort", () => {
    if (memory?.byteLength === PIECE) spare.push(memory);
    memory = undefined;
  });
  return async () => {
    const { value, done } = await reader.read(memory && new Uint8Array(memory));
    memory &&= value?.buffer;
    return done ? undefined : value;
  };
}
