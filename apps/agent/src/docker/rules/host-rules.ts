import { setTimeout as delay } from 'node:timers/promises';
import { changeRules, listRules, type RuleProgram, restoreRules } from './iptables.js';
import { RuleListing } from './rule-listing.js';
import type { RuleSet } from './rule-set.js';

/** The engine removes and adds its own rules whenever it makes a network: a second check comes so much later. */
const SECOND_CHECK_MS = 200;
const ATTEMPTS = 3;

/**
 * The rules of a node for one address family: a chain of its own behind `DOCKER-USER` for forwarded packets, and rules in `INPUT` for
 * packets to this machine, which never pass `DOCKER-USER`. Each rule has a comment with the node's id.
 */
export class HostRules {
  /** The rules as iptables listed them after they were set: each version of iptables writes them differently. */
  private set: { wanted: string; listed: string } | undefined;

  constructor(private readonly program: RuleProgram) {}

  /**
   * Checks that exactly these rules exist, before all others, and sets them where they do not.
   * @returns true where the rules were complete before and another program has changed them
   * @throws Error with a reason for the user; FirewallBusy where iptables could not run
   */
  async ensure(wanted: RuleSet): Promise<boolean> {
    const key = JSON.stringify(wanted);
    const wereComplete = this.set?.wanted === key;
    if (wereComplete && (await this.areComplete(wanted))) return false;
    if (wereComplete) await delay(SECOND_CHECK_MS);
    if (wereComplete && (await this.areComplete(wanted))) return false;
    // From here on a failure leaves the rules incomplete.
    this.set = undefined;
    for (let attempt = 1; ; attempt++) {
      const listing = await this.list();
      await restoreRules(this.program, listing.transaction(wanted));
      const now = await this.list();
      if (now.own(wanted).length === listing.count(wanted) && now.reaches(wanted)) {
        this.set = { wanted: key, listed: textOf(now, wanted) };
        return wereComplete;
      }
      if (attempt === ATTEMPTS) throw new Error(`${this.program}: another program changes the rules at this moment`);
      await delay(SECOND_CHECK_MS);
    }
  }

  /** Removes every rule of the node, also those of an earlier run. Never rejects. */
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

  private async areComplete(wanted: RuleSet): Promise<boolean> {
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
