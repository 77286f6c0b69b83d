/** What a router believes of a node. */
export type NodeState =
  /** Nothing speaks against it. */
  | 'in_use'
  /** Something does, and its door is being asked; requests still go there. */
  | 'doubted'
  /** Its door did not answer: nothing is sent there, and what was under way there has been ended. */
  | 'lost'
  /** Its door said that it takes nothing more; what runs there may end. */
  | 'leaving'
  /** Lost or leaving, and its door is being asked again. */
  | 'asked_again';

/** What asking a node's door came to. */
export type ProbeResult =
  | 'answers'
  /** It answers, and takes nothing more. */
  | 'leaving'
  /** No answer in time, no connection, or somebody else answers there. */
  | 'no_answer'
  /** It could not be asked, for a reason of this machine. */
  | 'undecided';

type Move = 'ask' | ProbeResult;

/** Every move there is; others change nothing. A node comes back by an answer of its door and by nothing else. */
const MOVES: Record<NodeState, Partial<Record<Move, NodeState>>> = {
  in_use: { ask: 'doubted' },
  doubted: { answers: 'in_use', undecided: 'in_use', leaving: 'leaving', no_answer: 'lost' },
  lost: { ask: 'asked_again' },
  leaving: { ask: 'asked_again' },
  asked_again: { answers: 'in_use', undecided: 'lost', leaving: 'leaving', no_answer: 'lost' },
};

/** Where a move leads to. */
export function moved(from: NodeState, move: Move): NodeState {
  return MOVES[from][move] ?? from;
}

/** Requests may go there. */
export function isUsable(state: NodeState): boolean {
  return state === 'in_use' || state === 'doubted';
}
