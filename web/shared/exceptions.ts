// What browsers throw, told apart by name.

/** What a browser said, in its words. */
export function why(error: unknown): string {
  const { name, message } = error as Partial<Error>;
  return message
    ? name && name !== "Error"
      ? `${name}: ${message}`
      : message
    : (name ?? String(error));
}

/** Whether an exception has this name. */
export function isCalled(error: unknown, ...names: string[]): boolean {
  return names.includes((error as Partial<Error> | undefined)?.name ?? "");
}

/** Whether an exception says that there is no room. */
export function isRefusal(error: unknown): boolean {
  // Firefox's handles throw the latter.
  return isCalled(error, "QuotaExceededError", "NS_ERROR_FILE_NO_DEVICE_SPACE");
}
