import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import type { Config } from '../../config.js';
import type { Terminal } from '../../output/terminal.js';
import { shortDigest } from '../../output/units.js';
import { type DeployLog, type DeployOutcome, deployed, failed } from '../deploy-function.js';

/** For a group that waits for earlier groups. */
const MAX_HELD_LINES = 5000;

/** The output of one function: lines that are not shown yet, and the outcome once there is one. */
type Group = { name: string; lines: string[]; outcome?: DeployOutcome };

/**
 * Writes the log of a GitHub workflow step: groups, annotations, masks, and the output files of the step. Escapes foreign lines that
 * GitHub would take for commands. Groups follow each other even when builds run in parallel: the first group is shown live, each
 * other group when its turn comes.
 */
export class GithubLog implements DeployLog {
  private readonly groups: Group[] = [];

  constructor(
    private readonly config: Config,
    private readonly terminal: Terminal,
  ) {
    terminal.disarm = harmless;
    for (const secret of [config.KILN_API_KEY, config.KILN_REGISTRY_PASSWORD]) {
      if (secret) terminal.announce(`::add-mask::${escapeData(secret)}`);
    }
  }

  begin(name: string): void {
    const group = { name, lines: [] };
    if (this.groups.push(group) === 1) this.open(group);
  }

  say(line: string, name: string): void {
    const group = this.groups.find((each) => each.name === name);
    if (group === undefined || group === this.groups[0]) this.terminal.say(line);
    else if (group.lines.push(line) > MAX_HELD_LINES) group.lines.shift();
  }

  end(outcome: DeployOutcome): void {
    const group = this.groups.find(({ name }) => name === outcome.function);
    if (group !== undefined) group.outcome = outcome;
    while (this.groups[0]?.outcome !== undefined) {
      this.close(this.groups[0].outcome);
      this.groups.shift();
      if (this.groups[0] !== undefined) this.open(this.groups[0]);
    }
  }

  private open({ name, lines }: Group): void {
    this.terminal.announce(`::group::${escapeData(name)}`);
    if (lines.length === MAX_HELD_LINES) this.terminal.say('(earlier lines are left out)');
    for (const line of lines.splice(0)) this.terminal.say(line);
  }

  private close(outcome: DeployOutcome): void {
    this.terminal.announce('::endgroup::');
    if (!failed(outcome)) return;
    const { message, fix } = outcome.error;
    const next = fix.replaceAll('<function>', outcome.function);
    this.terminal.announce(`::error title=${escapeProperty(`${outcome.function} was not deployed`)}::${escapeData(`${message}\n${next}`)}`);
  }

  /** Writes the summary of the run, and the outputs for later steps. */
  finish(outcomes: readonly DeployOutcome[]): void {
    const { GITHUB_STEP_SUMMARY: summary, GITHUB_OUTPUT: output } = this.config;
    if (summary !== undefined) appendFileSync(summary, summaryOf(outcomes));
    if (output === undefined) return;
    const mark = `kiln-${randomUUID()}`;
    appendFileSync(output, `functions<<${mark}\n${JSON.stringify(outcomes.filter((outcome) => !failed(outcome)))}\n${mark}\n`);
  }
}

function summaryOf(outcomes: readonly DeployOutcome[]): string {
  const lines = outcomes.map((outcome) => {
    if (failed(outcome)) return [outcome.function, `failed: ${outcome.error.message.split('\n')[0]}`, '', ''];
    if (!deployed(outcome)) return [outcome.function, 'removed', '', ''];
    const { version, changed, digest, url } = outcome;
    return [outcome.function, `v${version}${changed ? '' : ' (unchanged)'}`, `\`${shortDigest(digest)}\``, `<${url}>`];
  });
  const rows = [['function', 'version', 'image', 'address'], ['---', '---', '---', '---'], ...lines];
  return `### kiln deploy\n\n${rows.map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** Escapes the start of a line that GitHub would take for a command. */
function harmless(line: string): string {
  return line.replace(/^\s*(?=::|##\[)/gm, '| ');
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/** A version's message for a deployment by a workflow. */
export function messageOfRun({ GITHUB_REPOSITORY: repository, GITHUB_SHA: commit }: Config): string | undefined {
  return repository && commit ? `${repository}@${commit.slice(0, 7)}`.slice(0, 200) : undefined;
}
