import { setTimeout as delay } from 'node:timers/promises';
import { changeRules, listRules, type RuleProgram, restoreRules } from './iptables.js';
import { RuleListing } from './rule-listing.js';
import type { RuleSet } from './rule-set.js';

/** The engine takes its own rules out and in again whenever a network is made: what it is just doing is seen whole so much later. */
const SECOND_LOOK_MS = 200;
const ATTEMPTS = 3;

/**
 * The rules of a node for one family of addresses: in a chain of its own behind `DOCKER-USER` for what is forwarded, and in `INPUT`
 * for what is addressed to this machine, which `DOCKER-USER` never sees. All carry a comment with the node's id.
 */
export class HostRules {
  /** As they were listed when they were set: programs of different versions write them differently. */
  private set: { wanted: string; listed: string } | undefined;

  constructor(private readonly program: RuleProgram) {}

  /**
   * Sees to it that exactly these rules stand, and first.
   * @returns true where they had stood before and did not any more
   * @throws Error with a reason in words, FirewallBusy where nothing is known
   */
  async ensure(wanted: RuleSet): Promise<boolean> {
    const key = JSON.stringify(wanted);
    const stood = this.set?.wanted === key;
    if (stood && (await this.stand(wanted))) return false;
    if (stood) await delay(SECOND_LOOK_MS);
    if (stood && (await this.stand(wanted))) return false;
    // Not known to stand from here on, whatever fails.
    this.set = undefined;
    for (let attempt = 1; ; attempt++) {
      const listing = await this.list();
      await restoreRules(this.program, listing.transaction(wanted));
      const now = await this.list();
      if (now.own(wanted).length === listing.count(wanted) && now.reaches(wanted)) {
        this.set = { wanted: key, listed: textOf(now, wanted) };
        return stood;
      }
      if (attempt === ATTEMPTS) throw new Error(`${this.program}: another program changes the rules at this moment`);
      await delay(SECOND_LOOK_MS);
    }
  }

  /** Takes out every rule of the node, also those of an earlier life. Never rejects. */
  async remove(set: RuleSet): Promise<void> {
    this.set = undefined;
    const quietly = (...args: string[]) => changeRules(this.program, ...args).catch(() => undefined);
    const own = await this.list().then(
      (listing) => listing.own(set),
      () => [],
    );
    for (const line of own) await quietly('-D', ...line.replaceAll('"', '').split(' ').slice(1));
    if (set.chain === undefined) return;
    await quietly('-F', set.chain.name);
    await quietly('-X', set.chain.name);
  }

  private async stand(wanted: RuleSet): Promise<boolean> {
    const listing = await this.list();
    return textOf(listing, wanted) === this.set?.listed && listing.reaches(wanted);
  }

  private async list(): Promise<RuleListing> {
    return new RuleListing(await listRules(this.program));
  }
}

function textOf(listing: RuleListing, set: RuleSet): string {
  return listing.own(set).join('\n');
}
