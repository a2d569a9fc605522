/**
 * What page and worker compare, so that a stale script of one is not used with the other; the
 * package's build puts its own here.
 */
export const VERSION: string = "source";
