import { pushTurnKey } from './store/keys.js';
import { GIVE_LEASE_BACK, KEEP_LEASE } from './store/scripts.js';
import type { Store } from './store/store.js';

/** Which push of a project is being deployed, among all routers. */
export class PushTurnStore {
  constructor(private readonly store: Store) {}

  /** Takes or keeps the turn; false while another push has it. */
  async lease(project: string, push: string, forMs: number): Promise<boolean> {
    return (await this.store.run((redis) => redis.eval(KEEP_LEASE, 1, pushTurnKey(project), push, forMs))) === 1;
  }

  /** Ends the turn, where it is still this push's. */
  async giveBack(project: string, push: string): Promise<void> {
    await this.store.run((redis) => redis.eval(GIVE_LEASE_BACK, 1, pushTurnKey(project), push));
  }
}
