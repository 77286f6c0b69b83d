/** Silence is normal while a step of a build works; after so long somebody asks. */
const ASK_AFTER_MS = 20_000;
/** One answer may be late on a busy machine. */
const MAX_MISSED = 2;

export interface SilenceWatch {
  /** Something came: no question for a while. */
  heard(): void;
  end(): void;
}

/**
 * For a long answer from a node: asks the node's health while nothing comes.
 * @param ask rejects, within a bound, where the node does not answer
 * @param lost called once, after several questions in a row were not answered
 */
export function watchSilence(ask: () => Promise<void>, lost: (error: unknown) => void, askAfterMs: number = ASK_AFTER_MS): SilenceWatch {
  let missed = 0;
  let ended = false;
  const onSilence = async () => {
    try {
      await ask();
      missed = 0;
    } catch (error) {
      missed++;
      if (missed >= MAX_MISSED && !ended) {
        ended = true;
        lost(error);
      }
    }
    if (!ended) timer.refresh();
  };
  const timer = setTimeout(() => void onSilence(), askAfterMs);
  return {
    heard: () => {
      if (ended) return;
      missed = 0;
      timer.refresh();
    },
    end: () => {
      ended = true;
      clearTimeout(timer);
    },
  };
}
