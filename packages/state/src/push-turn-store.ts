import { pushTurnKey } from './store/keys.js';
import { GIVE_LEASE_BACK, KEEP_LEASE } from './store/scripts.js';
import type { Store } from './store/store.js';

/** Lets one push of a project be deployed at a time, over all routers. */
export class PushTurnStore {
  constructor(private readonly store: Store) {}

  /** Takes or renews the turn; false while another push has it. */
  async lease(project: string, push: string, forMs: number): Promise<boolean> {
    return (await this.store.run((redis) => redis.eval(KEEP_LEASE, 1, pushTurnKey(project), push, forMs))) === 1;
  }

  /** Ends the turn if this push still has it. */
  async giveBack(project: string, push: string): Promise<void> {
    await this.store.run((redis) => redis.eval(GIVE_LEASE_BACK, 1, pushTurnKey(project), push));
  }
}
