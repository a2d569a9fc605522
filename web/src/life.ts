// How a page learns that one of its workers is gone, whichever way it went: browsers end workers
// without a word when memory is short. A worker holds a lock for as long as it lives, and the page
// waits for that. Where there are no locks (insecure pages, blocked storage), there is no word.

/** Holds a lock of this name until this thread ends; whether that could be had. */
export function live(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const untilTheEnd = () => {
      resolve(true);
      return new Promise(() => {});
    };
    try {
      navigator.locks.request(name, untilTheEnd).catch(() => resolve(false));
    } catch {
      resolve(false);
    }
  });
}

/** Tells when nobody lives under this name any more, unless that is no longer of interest. */
export function watch(name: string, signal: AbortSignal, gone: () => void): void {
  navigator.locks.request(name, { signal }, gone).catch(() => {});
}
