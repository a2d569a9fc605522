// Keeps the screen on while something long is under way: a phone that sleeps stops the page.

let holders = 0;
let lock: WakeLockSentinel | undefined;

async function take(): Promise<void> {
  if (holders === 0 || lock || document.hidden || !("wakeLock" in navigator)) return;
  try {
    const taken = await navigator.wakeLock.request("screen");
    taken.addEventListener("release", () => (lock = undefined));
    lock = taken;
    if (holders === 0) letGo();
  } catch {
    // A low battery refuses it; the work goes on without.
  }
}

function letGo(): void {
  void lock?.release();
  lock = undefined;
}

// The browser takes the lock away when the page is hidden: ask again when it is seen.
document.addEventListener("visibilitychange", () => void take());

/** Until the function that it gives is called. */
export function keepAwake(): () => void {
  holders++;
  void take();
  let done = false;
  return () => {
    if (done) return;
    done = true;
    if (--holders === 0) letGo();
  };
}
