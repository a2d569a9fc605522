// Short messages at the edge, some of which can undo what they tell of.

import { untrack } from "svelte";

export interface Toast {
  id: number;
  text: string;
  /** Something did not go well. */
  bad?: boolean;
  action?: { label: string; act: () => void };
  /** Something happens once it is gone. */
  awaited?: boolean;
}

type Action = NonNullable<Toast["action"]>;

/**
 * Long enough to read; where there is a button, to reach it; and where something is wrong, to think
 * about.
 */
const SHOWN_FOR = 4_000;
const SHOWN_WITH_BUTTON_FOR = 8_000;
const SHOWN_IF_BAD_FOR = 15_000;
/** On a phone, more of them leave no room for what they are about. */
const MOST_SHOWN = 3;

class Toasts {
  all: Toast[] = $state([]);
  #last = 0;

  /** The newest; what is wrong or can be undone comes before what is well. */
  get shown(): Toast[] {
    const matters = this.all.filter(({ bad, action }) => bad || action);
    const others = this.all.filter((toast) => !matters.includes(toast));
    return [...others, ...matters].slice(-MOST_SHOWN);
  }

  /** `gone` is called when nobody has pressed the button in time. */
  show(text: string, action?: Action, gone?: () => void): void {
    this.#add(
      { text, ...(action && { action }) },
      action ? SHOWN_WITH_BUTTON_FOR : SHOWN_FOR,
      gone,
    );
  }

  /** What did not go well looks and sounds like it, and stays until it is closed, or for longer. */
  fail(text: string): void {
    this.#add({ text, bad: true }, SHOWN_IF_BAD_FOR);
  }

  close(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }

  #add({ action, ...rest }: Omit<Toast, "id">, time: number, gone?: () => void): void {
    const id = ++this.#last;
    const timer = setTimeout(() => {
      this.close(id);
      gone?.();
    }, time);
    const pressed = action && {
      label: action.label,
      act: () => {
        clearTimeout(timer);
        this.close(id);
        action.act();
      },
    };
    // An effect that tells something must not be run again for what is told: it would tell it
    // without end.
    untrack(() => {
      // What is told again is told once, as the newest; where something waits for the end of one,
      // each has its own.
      if (!gone)
        this.all = this.all.filter(
          ({ text, bad, awaited }) => awaited || text !== rest.text || bad !== rest.bad,
        );
      this.all.push({
        ...rest,
        id,
        ...(pressed && { action: pressed }),
        ...(gone && { awaited: true }),
      });
    });
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
