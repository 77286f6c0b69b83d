import type { StoreView } from '@kiln/contract/api/control-api';
import type { Session } from '../command.js';
import { type ConfirmOptions, confirm } from '../confirm.js';
import { connect } from '../connection.js';
import { UsageFailure } from '../failure.js';
import { type OutputOptions, print } from '../output/print.js';

export interface StoreOrders extends ConfirmOptions {
  restoreStore?: boolean;
  acceptStore?: boolean;
}

/** Restores or accepts a store that has lost data, as the options say. False without such an option. */
export async function orderStore(session: Session, options: OutputOptions & StoreOrders): Promise<boolean> {
  const { restoreStore = false, acceptStore = false } = options;
  if (restoreStore && acceptStore) throw new UsageFailure('--restore-store and --accept-store exclude each other', 'give one of them');
  if (!restoreStore && !acceptStore) return false;
  const { store } = connect(session);
  const what = 'what the routers still hold and the store has lost';
  if (acceptStore) await confirm(session.terminal, options, what, 'kiln doctor --accept-store');
  const view = restoreStore ? await store.restore() : await store.accept();
  print(session.terminal, options, view, restoreStore ? restoredText : () => 'the cluster accepts what the store has');
  return true;
}

function restoredText({ holds }: StoreView): string {
  if (holds === null) return 'written back';
  const { functions, versions, keys, secrets, secretValues } = holds;
  const counts = `${functions} functions with ${versions} versions, ${keys} keys, ${secrets} secrets`;
  return `written back: ${counts}${secretValues ? '' : '; the routers could not hold the values of so many secrets: set them again'}`;
}
