import { parseEnv } from 'node:util';
import { variableName } from '@kiln/contract/names';
import { UsageFailure } from '../failure.js';

/** `NAME=value` of a command line. @throws UsageFailure */
export function parseAssignments(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageFailure(`"${text}" sets no variable`, 'write it as NAME=value');
      return [requireVariableName(text.slice(0, at)), text.slice(at + 1)] as const;
    }),
  );
}

/** One variable as dotenv has it, over several lines where it is quoted. */
const VARIABLE = /^[ \t]*(?:export[ \t]+)?[^\s=#][^=\n]*=[ \t]*('[^']*'|"[^"]*"|`[^`]*`|[^\n]*?)[ \t]*(?:#[^\n]*)?\r?$/gm;

/** A file as dotenv has it. @throws UsageFailure */
export function parseVariables(text: string, where: string): Record<string, string> {
  const parsed = parseEnv(text) as Record<string, string>;
  // The parser passes over what it can't read. Named by its number: what stands there may be a secret.
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
