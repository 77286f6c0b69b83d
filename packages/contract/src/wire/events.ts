/** Control events name what has changed. They only say "look again": whoever misses one is put right by its next read of the store. */
export const FUNCTION_CHANGED = 'kiln.function.changed';
export const NODE_CHANGED = 'kiln.node.changed';
export const KEY_CHANGED = 'kiln.key.changed';
