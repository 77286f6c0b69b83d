/** The largest head of an answer that a node takes from an instance, and all its interim answers together. */
export const INSTANCE_HEAD_BYTES = 64 * 1024;

/**
 * The same that a router takes from a node: whatever a node took from an instance fits, written anew and with the node's own lines.
 * So what a function answers never looks like a fault of its node.
 */
export const NODE_HEAD_BYTES = 96 * 1024;
