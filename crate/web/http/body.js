/** Bytes that are taken from the browser at once, at the most. */
const PIECE = 1 << 18;

/**
 * What gives a body's next piece at each call, and nothing at the end. A piece takes the memory of
 * the one before, where the browser lets it: otherwise each has its own, which browsers put off
 * collecting until a fast download has made more rubbish than a phone has memory for.
 */
export function piecesOf(body) {
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
    new ArrayBuffer(PIECE);
  return async () => {
    const { value, done } = await reader.read(memory && new Uint8Array(memory));
    memory &&= value?.buffer;
    return done ? undefined : value;
  };
}
