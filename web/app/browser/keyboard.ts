// Whether Enter sends. On a keyboard on glass it begins a line, because there is no other key for
// that.

const glass = matchMedia("(hover: none) and (pointer: coarse)");

/** Whether focusing a field brings up a keyboard that covers half of the page. */
export function hasGlassKeyboard(): boolean {
  return glass.matches;
}

export function sends(event: KeyboardEvent): boolean {
  // While an input method composes, Enter chooses a word; 229 is how Safari says so.
  if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return false;
  if (event.ctrlKey || event.metaKey) return true;
  return !glass.matches && !event.shiftKey && !event.altKey;
}

/** Whether letters that are pressed now belong to a text. */
export function isTyping(): boolean {
  return document.activeElement?.matches("input, textarea, select, [contenteditable]") ?? false;
}

/**
 * Older iOS moves the page instead of making it smaller when the keyboard comes; its true height is
 * kept in --height.
 */
export function followViewport(): void {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const follow = () => {
    const zoomed = viewport.scale > 1.01;
    if (!zoomed) document.documentElement.style.setProperty("--height", `${viewport.height}px`);
  };
  viewport.addEventListener("resize", follow);
  follow();
}
