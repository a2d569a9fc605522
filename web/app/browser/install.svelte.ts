// Installing the app: a prompt where the browser has one, a hint where it has none.

interface InstallPrompt extends Event {
  prompt(): Promise<void>;
}

const isApple =
  /iPad|iPhone|iPod/.test(navigator.userAgent) ||
  (navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1);
const isInstalled =
  matchMedia("(display-mode: standalone)").matches ||
  (navigator as { standalone?: boolean }).standalone === true;

class Install {
  #prompt: InstallPrompt | undefined = $state.raw();

  readonly installed = isInstalled;
  /**
   * On iOS the installed app has a storage of its own, and a site's is cleared after a week without
   * a visit: install first, download then.
   */
  readonly needsHint = isApple && !isInstalled;
  readonly possible = $derived(this.#prompt !== undefined);

  constructor() {
    addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault();
      this.#prompt = event as InstallPrompt;
    });
    addEventListener("appinstalled", () => (this.#prompt = undefined));
  }

  async ask(): Promise<void> {
    const prompt = this.#prompt;
    this.#prompt = undefined;
    await prompt?.prompt();
  }
}

export const install = new Install();
