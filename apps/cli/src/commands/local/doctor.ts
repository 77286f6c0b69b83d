import type { StoreView } from '@kiln/contract/api/control-api';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { type ConfirmOptions, confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import type { Check } from '../../doctor/check.js';
import { checkCluster } from '../../doctor/check-cluster.js';
import { checkEngine } from '../../doctor/check-engine.js';
import { checkMachine } from '../../doctor/check-machine.js';
import { Failure, UsageFailure } from '../../failure.js';
import { neutralise } from '../../output/neutralise.js';
import { type OutputOptions, print } from '../../output/print.js';
import { paintState } from '../../output/style.js';
import { wrapWords } from '../../output/words.js';

interface DoctorOptions extends OutputOptions, ConfirmOptions {
  restoreStore?: boolean;
  acceptStore?: boolean;
}

export function doctorCommand(session: Session): KilnCommand {
  return dataCommand('doctor', session)
    .summary('check this machine and the nodes')
    .description(
      'Checks what Kiln needs on this machine, how well containers are isolated here, and the warnings of the nodes.\nExits with 1 when something keeps Kiln from running.',
    )
    .option('--restore-store', 'write what the router holds in memory back to a Redis that has lost data')
    .option('--accept-store', 'accept what such a Redis has now: functions that it lost are removed')
    .option('-y, --yes', 'do not ask before --accept-store')
    .examples(
      ['kiln doctor', 'all checks'],
      ['kiln doctor -o json | jq \'.[] | select(.state != "ok")\'', 'only what needs attention'],
      ['kiln doctor --restore-store', 'after a FLUSHALL, or a restart of Redis without its data'],
    )
    .action(async (options: DoctorOptions) => {
      if (await orderStore(session, options)) return;
      const { config, terminal } = session;
      const found = (await Promise.all([checkMachine(config), checkEngine(config.DOCKER_HOST), checkCluster(session)])).flat();
      const checks = found.map((check) => ({ ...check, fix: check.fix && terminal.hint(check.fix) }));
      print(terminal, options, checks, (all, columns) => all.map((check) => checkText(check, columns)).join('\n'));
      const broken = checks.filter(({ state }) => state === 'failed');
      const [first] = broken;
      if (first === undefined) return;
      const names = broken.map(({ name }) => name).join(', ');
      throw new Failure(`${broken.length} of ${checks.length} checks failed: ${names}`, first.fix ?? '');
    });
}

/** Restores or accepts a store that has lost data, as the options say. False without such an option. */
async function orderStore(session: Session, options: DoctorOptions): Promise<boolean> {
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

const INDENT = 9;
const MARK = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' } as const;

function checkText({ name, state, detail, fix }: Check, columns = Number.POSITIVE_INFINITY): string {
  const lines = wrapWords(neutralise(`${name}: ${detail}`), columns - INDENT);
  if (fix !== undefined) lines.push(...wrapWords(`next: ${neutralise(fix)}`, columns - INDENT));
  return `${paintState(MARK[state])}  ${lines.join(`\n${' '.repeat(INDENT)}`)}`;
}
