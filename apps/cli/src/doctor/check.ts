type CheckState = 'ok' | 'warning' | 'failed';

/** One thing that was looked at. */
export interface Check {
  name: string;
  state: CheckState;
  detail: string;
  fix?: string;
}

export function ok(name: string, detail: string): Check {
  return { name, state: 'ok', detail };
}

/** Kiln runs, but not as safe or as well as it could. */
export function warning(name: string, detail: string, fix: string): Check {
  return { name, state: 'warning', detail, fix };
}

/** Kiln can't run so. */
export function failedCheck(name: string, detail: string, fix: string): Check {
  return { name, state: 'failed', detail, fix };
}
