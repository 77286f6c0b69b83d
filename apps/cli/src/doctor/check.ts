/** The result of one check. */
export interface Check {
  name: string;
  state: 'ok' | 'warning' | 'failed';
  detail: string;
  fix?: string;
}

export function ok(name: string, detail: string): Check {
  return { name, state: 'ok', detail };
}

/** Kiln runs, but less safely or less well than it could. */
export function warning(name: string, detail: string, fix: string): Check {
  return { name, state: 'warning', detail, fix };
}

/** Kiln cannot run like this. */
export function failedCheck(name: string, detail: string, fix: string): Check {
  return { name, state: 'failed', detail, fix };
}
