// The part of iconv-lite that Express's parsers use, by what Node has itself: half of the bundle were tables for it.

/** @param {string} encoding */
export function encodingExists(encoding) {
  try {
    return new TextDecoder(encoding) !== undefined;
  } catch {
    return false;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {string} encoding
 */
export function decode(bytes, encoding) {
  return new TextDecoder(encoding).decode(bytes);
}

/** @param {string} encoding */
export function getDecoder(encoding) {
  // The words by which the caller knows this error.
  if (!encodingExists(encoding)) throw new Error(`Encoding not recognized: '${encoding}'`);
  const decoder = new TextDecoder(encoding);
  return {
    /** @param {Uint8Array} bytes */
    write: (bytes) => decoder.decode(bytes, { stream: true }),
    end: () => decoder.decode(),
  };
}
