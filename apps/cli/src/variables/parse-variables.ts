import { parseEnv } from 'node:util';
import { variableName } from '@kiln/contract/names';
import { UsageFailure } from '../failure.js';

/** Reads `NAME=value` arguments. @throws UsageFailure */
export function parseAssignments(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageFailure(`"${text}" sets no variable`, 'write it as NAME=value');
      return [requireVariableName(text.slice(0, at)), text.slice(at + 1)] as const;
    }),
  );
}

/** One variable in dotenv form; a quoted value may span lines. */
const VARIABLE = /^[ \t]*(?:export[ \t]+)?[^\s=#][^=\n]*=[ \t]*('[^']*'|"[^"]*"|`[^`]*`|[^\n]*?)[ \t]*(?:#[^\n]*)?\r?$/gm;

/** Reads a dotenv file. @throws UsageFailure */
export function parseVariables(text: string, where: string): Record<string, string> {
  const parsed = parseEnv(text) as Record<string, string>;
  // The parser skips lines that it cannot read. The error has only the number of the line: its text may be a secret.
  const rest = text.replace(VARIABLE, (variable) => variable.replace(/[^\n]/g, '')).split('\n');
  const bad = rest.findIndex((line) => !/^\s*(#|$)/.test(line));
  if (bad !== -1) throw new UsageFailure(`line ${bad + 1} of ${where} sets no variable`, 'write it as NAME=value, or begin it with #');
  if (Object.keys(parsed).length === 0) throw new UsageFailure(`${where} holds no variables`, 'write one a line: NAME=value');
  for (const name of Object.keys(parsed)) requireVariableName(name);
  return parsed;
}

/** @throws UsageFailure */
export function requireVariableName(name: string): string {
  const parsed = variableName.safeParse(name);
  if (parsed.success) return name;
  throw new UsageFailure(`"${name}" can't be a variable's name: it ${parsed.error.issues[0]?.message}`, 'choose another name');
}
