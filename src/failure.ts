/** What an exception says of why something failed, in the runtime's words. */
export const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The system's name for a failure (errno(3)), e.g. ENOENT, where it is one of the system's. */
export const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;
