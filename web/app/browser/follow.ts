// Keeps a list that grows at its end in view, unless the reader has gone elsewhere in it.

/** Upwards by more than this, the reader is reading. */
const UNPIN = 3;
/** As near to the end as this, they are back. */
const PIN = 48;

export class Follower {
  #pinned = true;
  #resting = false;
  /** Where the last scroll of ours, or the last that was looked at, ended. */
  #top = 0;
  #observer: ResizeObserver;

  constructor(
    readonly scroller: HTMLElement,
    content: HTMLElement,
    /** Whether the end is in view. */
    readonly onchange: (pinned: boolean) => void,
  ) {
    this.#observer = new ResizeObserver(() => this.#pinned && !this.#resting && this.toEnd());
    this.#observer.observe(content);
    this.#observer.observe(scroller);
    scroller.addEventListener("scroll", this.#scrolled, { passive: true });
  }

  /** Jumps there and stays there. */
  toEnd(): void {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#top = this.scroller.scrollTop;
    this.#set(true);
  }

  /**
   * Stays where it is, or no longer: who edits something further up is not to be taken away from
   * it.
   */
  rest(resting: boolean): void {
    this.#resting = resting;
  }

  close(): void {
    this.#observer.disconnect();
    this.scroller.removeEventListener("scroll", this.#scrolled);
  }

  #scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const toEnd = scrollHeight - scrollTop - clientHeight;
    // At the very end nobody has gone up: what is shown has become shorter.
    if (toEnd > 1 && scrollTop < this.#top - UNPIN) this.#set(false);
    else if (toEnd < PIN) this.#set(true);
    this.#top = scrollTop;
  };

  #set(pinned: boolean): void {
    if (pinned === this.#pinned) return;
    this.#pinned = pinned;
    this.onchange(pinned);
  }
}
