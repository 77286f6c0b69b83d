import type { StoreView } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { FUNCTION_CHANGED, KEY_CHANGED } from '@kiln/contract/wire/events';
import type { CopyStore, StoreCopy } from '@kiln/state/functions/copy-store';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import { countPacked } from '@kiln/state/functions/packed-versions';
import { SingleFlight } from '@kiln/state/store/single-flight';
import type { Store } from '@kiln/state/store/store';
import type { EventSender } from '../view/announcer.js';

/** What this router could write back to a store that has lost something, and how the store is. */
export class HeldStore {
  private copy: StoreCopy | undefined;
  private readonly reading = new SingleFlight(async () => {
    this.copy = await this.parts.copies.take(this.parts.functions, this.copy);
  });

  constructor(
    private readonly parts: { store: Pick<Store, 'ready' | 'trouble'>; copies: CopyStore; functions: FunctionStore; events: EventSender },
  ) {}

  /** @throws KilnError `unavailable` also where the store has lost something; what was held stays. */
  refresh(): Promise<void> {
    return this.reading.run();
  }

  view(): StoreView {
    const { store } = this.parts;
    const holds = holdsOf(this.copy);
    if (!store.ready) return { state: 'away', detail: 'the store does not answer; known functions go on', holds };
    const { trouble } = store;
    return { state: trouble?.kind ?? 'well', detail: trouble?.detail, fix: trouble?.fix, holds };
  }

  /** Writes back what this router holds. @throws KilnError `conflict` where the store has lost nothing or nothing is held here */
  async restore(): Promise<StoreView> {
    if (this.copy === undefined) {
      throw new KilnError('conflict', 'this router was started after the loss and holds nothing to write back', {
        fix: 'ask a router that has run for longer (KILN_URL); with none, go on with what the store has: kiln doctor --accept-store',
      });
    }
    await this.parts.copies.restore(this.copy);
    return this.changed();
  }

  /** Goes on with what the store has now. @throws KilnError `conflict` where the store has lost nothing */
  async accept(): Promise<StoreView> {
    await this.parts.copies.accept();
    return this.changed();
  }

  private async changed(): Promise<StoreView> {
    const { events } = this.parts;
    await Promise.allSettled([this.refresh(), events.emit(FUNCTION_CHANGED, { name: '' }), events.emit(KEY_CHANGED, { id: '' })]);
    return this.view();
  }
}

function holdsOf(copy: StoreCopy | undefined): StoreView['holds'] {
  if (copy === undefined) return null;
  const { functions, keys, secrets, secretValues } = copy;
  const stored = [...functions.values()].flatMap(({ versions }) => versions ?? []);
  return {
    functions: stored.length,
    versions: stored.reduce((sum, packed) => sum + countPacked(packed), 0),
    keys: Object.keys(keys).length,
    secrets: Object.keys(secrets).length,
    secretValues: secretValues !== undefined,
  };
}
