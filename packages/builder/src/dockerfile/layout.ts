/** Where a function lies in its image. */
export const APP = '/app';
/** The folder of a context that holds the sources; what else is in it is ours. */
export const SOURCES = 'app';
