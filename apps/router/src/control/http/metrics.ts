import type { StoreTrouble } from '@kiln/state/store/trouble';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { InvocationRecord } from '../../invoke/invocation.js';

const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];
/** Functions with series of their own; those beyond are counted together, so that names can't fill the memory. */
const MAX_FUNCTIONS = 5000;
const OTHERS = '_others';

export interface MeasuredRouter {
  storeReady(): boolean;
  storeTrouble(): StoreTrouble['kind'] | undefined;
  liveNodes(): number;
  functions(): number;
}

/** What Prometheus reads. */
export class Metrics {
  private readonly registry = new Registry();
  private readonly names = new Set<string>();
  private readonly invocations = new Counter({
    name: 'kiln_invocations_total',
    help: 'Requests to functions',
    labelNames: ['function', 'status', 'start', 'code'],
    registers: [this.registry],
  });
  private readonly durations = new Histogram({
    name: 'kiln_invocation_duration_seconds',
    help: 'From the arrival of a request to the end of its answer',
    labelNames: ['function', 'start'],
    buckets: DURATION_BUCKETS,
    registers: [this.registry],
  });

  constructor(watched: MeasuredRouter) {
    const { registry } = this;
    collectDefaultMetrics({ register: registry });
    gauge(registry, 'kiln_store_up', 'Whether the store answers', () => Number(watched.storeReady()));
    gauge(registry, 'kiln_store_writable', 'Whether the store takes writes', () => Number(watched.storeTrouble() !== 'refuses-writes'));
    gauge(registry, 'kiln_store_whole', 'Whether the store has lost nothing that was known', () =>
      Number(watched.storeTrouble() !== 'lost'),
    );
    gauge(registry, 'kiln_nodes_live', 'Nodes in use', watched.liveNodes);
    gauge(registry, 'kiln_functions', 'Functions known', watched.functions);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  readonly observe = (record: InvocationRecord): void => {
    const labels = { function: this.labelOf(record.function), start: record.start ?? '' };
    this.invocations.inc({ ...labels, status: String(record.status ?? 0), code: record.code ?? '' });
    this.durations.observe(labels, record.totalMs / 1000);
  };

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private labelOf(name: string): string {
    if (this.names.has(name)) return name;
    if (this.names.size >= MAX_FUNCTIONS) return OTHERS;
    this.names.add(name);
    return name;
  }
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
