// Short messages at the edge, some of which can undo what they tell of.

export interface Toast {
  id: number;
  text: string;
  action?: { label: string; act: () => void };
}

/** Long enough to read; and, where there is a button, to reach it. */
const SHOWN_FOR = 4_000;
const SHOWN_WITH_BUTTON_FOR = 8_000;

class Toasts {
  all: Toast[] = $state([]);
  #last = 0;

  /** `gone` is called when nobody has pressed the button in time. */
  show(text: string, action?: { label: string; act: () => void }, gone: () => void = () => {}): void {
    const id = ++this.#last;
    const timer = setTimeout(() => (this.close(id), gone()), action ? SHOWN_WITH_BUTTON_FOR : SHOWN_FOR);
    const act = action && (() => (clearTimeout(timer), this.close(id), action.act()));
    this.all.push({ id, text, ...(action && act && { action: { label: action.label, act } }) });
  }

  close(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();

/** For those who listen to the page: one line that says what goes on. */
class Status {
  text = $state("");

  say(text: string): void {
    this.text = text;
  }
}

export const status = new Status();
