/** The cluster's mark, which is written once into its store, and the change counter at the time of the read. */
export interface StoreMark {
  mark: string;
  changes: number;
}

/** Mark, counter and report of a loss, as read from the store. */
export interface StoreState {
  mark: string | undefined;
  changes: number;
  /** Another process has reported that the store lost this. */
  lost: StoreMark | undefined;
}

export type Why = 'emptied' | 'behind' | 'another';

export interface Loss {
  why: Why;
  /** What the store should have: as this process saw it or, if it saw nothing yet, as others reported. */
  missed: StoreMark;
  seen: StoreState;
}

/**
 * Finds out if a store has lost data. A whole store has the cluster's mark and no lower change counter, and no process has reported a
 * loss; what is missing in a whole store was deleted by a user. Undefined if the store is whole. Pure.
 */
export function lossOf(latest: StoreMark | undefined, seen: StoreState): Loss | undefined {
  const missed = laterOf(latest, seen.lost);
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

function laterOf(latest: StoreMark | undefined, lost: StoreMark | undefined): StoreMark | undefined {
  if (latest === undefined || lost === undefined) return latest ?? lost;
  return lost.mark === latest.mark && lost.changes > latest.changes ? lost : latest;
}
