/** The cluster's mark, written once into its store, and how often its desired state had changed when it was read. */
export interface StoreMark {
  mark: string;
  changes: number;
}

/** What the store says of itself. */
export interface StoreState {
  mark: string | undefined;
  changes: number;
  /** What another process knew and has missed. */
  lost: StoreMark | undefined;
}

export type Why = 'emptied' | 'behind' | 'another';

export interface Loss {
  why: Why;
  /** What is missed: of this process or, where it never knew anything, of the others. */
  missed: StoreMark;
  seen: StoreState;
}

/**
 * Whether a store is the one that was known: it has the cluster's mark, its count of changes is no lower, and nobody misses anything
 * in it. What such a store does not list was removed by an order. Undefined where all is well. Asks nothing and changes nothing.
 */
export function lossOf(known: StoreMark | undefined, seen: StoreState): Loss | undefined {
  const missed = laterOf(known, seen.lost);
  if (missed === undefined) return undefined;
  if (seen.mark === undefined) return { why: 'emptied', missed, seen };
  if (seen.mark !== missed.mark) return { why: 'another', missed, seen };
  if (seen.lost !== undefined || seen.changes < missed.changes) return { why: 'behind', missed, seen };
  return undefined;
}

export function describeLoss({ why, missed, seen }: Loss): string {
  switch (why) {
    case 'emptied':
      return `the store was emptied: it has lost the mark ${missed.mark} of this cluster`;
    case 'another':
      return `the store has the mark ${seen.mark} of another cluster, where this cluster's is ${missed.mark}`;
    case 'behind':
      return `the store has gone back to change ${seen.changes}, and change ${missed.changes} was seen`;
  }
}

function laterOf(known: StoreMark | undefined, lost: StoreMark | undefined): StoreMark | undefined {
  if (known === undefined || lost === undefined) return known ?? lost;
  return lost.mark === known.mark && lost.changes > known.changes ? lost : known;
}
