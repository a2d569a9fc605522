// Which screen is shown, as the address says: #/chat/ID, #/models … The back button works as
// anywhere.

export type Screen = "welcome" | "chat" | "models" | "settings" | "privacy";

const SCREENS: Screen[] = ["welcome", "chat", "models", "settings", "privacy"];

interface Route {
  screen: Screen;
  /** The conversation's id; empty for one that has not begun. */
  id: string;
}

function parse(hash: string): Route {
  const [, screen = "", id = ""] = hash.split("/");
  return { screen: SCREENS.find((name) => name === screen) ?? "chat", id: decoded(id) };
}

/** A broken address names nothing that there is, which is said like any other. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

class Router {
  current: Route = $state.raw(parse(location.hash));

  constructor() {
    addEventListener("hashchange", () => (this.current = parse(location.hash)));
  }

  go(screen: Screen, id = ""): void {
    location.hash = id ? `/${screen}/${encodeURIComponent(id)}` : `/${screen}`;
  }

  /** Without a step for the back button. */
  replace(screen: Screen, id = ""): void {
    history.replaceState(null, "", id ? `#/${screen}/${encodeURIComponent(id)}` : `#/${screen}`);
    this.current = parse(location.hash);
  }
}

export const router = new Router();
