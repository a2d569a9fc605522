// What the app's tabs tell one another. Where the user blocks what sites store, browsers have none
// of it, and each tab is alone.

/** Hears what other tabs say under a name; what it returns says something to them. */
export function channel(name: string, heard: (said: string) => void): (say: string) => void {
  try {
    const line = new BroadcastChannel(name);
    line.onmessage = ({ data }: MessageEvent<string>) => heard(data);
    return (say) => line.postMessage(say);
  } catch {
    return () => {};
  }
}

/** Does something that other tabs can see is being done. */
export async function held<T>(name: string, act: () => Promise<T>): Promise<T> {
  const locks = await heldNames();
  return locks ? navigator.locks.request(name, act) : act();
}

/** Whether some tab does something now. */
export async function isHeld(name: string): Promise<boolean> {
  return (await heldNames())?.includes(name) ?? false;
}

async function heldNames(): Promise<(string | undefined)[] | undefined> {
  try {
    const { held = [] } = await navigator.locks.query();
    return held.map(({ name }) => name);
  } catch {
    return undefined;
  }
}
