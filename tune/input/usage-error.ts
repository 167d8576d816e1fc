/** The command line or a file that it names is wrong. The message is for the person who wrote it. */
export class UsageError extends Error {}
