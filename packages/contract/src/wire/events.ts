/**
 * Control events, sent through the microservices Redis transport. They only say "look again": whoever misses one is put
 * right by its next periodic read of the store.
 */
export const FUNCTION_CHANGED = 'kiln.function.changed';
export const NODE_CHANGED = 'kiln.node.changed';
export const KEY_CHANGED = 'kiln.key.changed';

export interface FunctionChanged {
  name: string;
}
export interface NodeChanged {
  id: string;
}
export interface KeyChanged {
  id: string;
}
