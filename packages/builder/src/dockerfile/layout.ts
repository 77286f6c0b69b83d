/** The folder of a function in its image. */
export const APP = '/app';
/** The folder of a context that holds the sources; all other files in the context are Kiln's own. */
export const SOURCES = 'app';
export const COPY_SOURCES = `COPY ${SOURCES}/ ${APP}/`;
