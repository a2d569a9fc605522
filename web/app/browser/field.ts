// Fields that grow with what is written in them.

/** Makes a field as high as its text, up to where CSS stops it. */
export function fitHeight(field: HTMLTextAreaElement): void {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}
