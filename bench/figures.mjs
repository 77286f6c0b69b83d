export function median(values) {
  return quantile(values, 0.5);
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

const round = (value) => Number(value.toPrecision(4));

/** One comparison: a figure, its limit, and whether it holds. `atMost` and `atLeast` exclude each other. */
export function figure(name, unit, value, { atMost, atLeast }, parts = {}) {
  const holds = atMost !== undefined ? value <= atMost : value >= atLeast;
  const rounded = Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, typeof part === 'number' ? round(part) : part]));
  return {
    name,
    unit,
    value: round(value),
    ...(atMost !== undefined && { atMost }),
    ...(atLeast !== undefined && { atLeast }),
    holds,
    parts: rounded,
  };
}

export function line({ name, unit, value, atMost, atLeast, holds, parts }) {
  const bar = atMost !== undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  const detail = Object.entries(parts).map(([key, part]) => `${key} ${part}`);
  return `${holds ? 'holds ' : 'FAILS '} ${name}: ${value} ${unit} (bar: ${bar}) ${detail.length > 0 ? `[${detail.join(', ')}]` : ''}`;
}
