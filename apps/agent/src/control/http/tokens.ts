/** Names of what is injected and is no class. */
export const LOG = Symbol('log');
