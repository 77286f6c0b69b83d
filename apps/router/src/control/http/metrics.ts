import type { Store } from '@kiln/state/store/store';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { InvocationRecord } from '../../invoke/invocation.js';
import type { NodeTable } from '../../placement/node-table.js';
import type { RouteTable } from '../../view/route-table.js';

const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];
/** Functions with series of their own; those beyond are counted together, so that names can't fill the memory. */
const MAX_FUNCTIONS = 5000;
const OTHERS = '_others';

/** What Prometheus reads. */
export class Metrics {
  readonly registry = new Registry();
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

  constructor(store: Pick<Store, 'ready' | 'trouble'>, nodes: NodeTable, routes: RouteTable) {
    collectDefaultMetrics({ register: this.registry });
    this.gauge('kiln_store_up', 'Whether the store answers', () => store.ready);
    this.gauge('kiln_store_writable', 'Whether the store takes writes', () => store.trouble?.kind !== 'refuses-writes');
    this.gauge('kiln_store_whole', 'Whether the store has lost nothing that was known', () => store.trouble?.kind !== 'lost');
    this.gauge('kiln_nodes_live', 'Nodes in use', () => nodes.live().length);
    this.gauge('kiln_functions', 'Functions known', () => routes.names().length);
  }

  readonly observe = (record: InvocationRecord): void => {
    const labels = { function: this.labelOf(record.function), start: record.start ?? '' };
    this.invocations.inc({ ...labels, status: String(record.status ?? 0), code: record.code ?? '' });
    this.durations.observe(labels, record.totalMs / 1000);
  };

  private labelOf(name: string): string {
    if (this.names.has(name)) return name;
    if (this.names.size >= MAX_FUNCTIONS) return OTHERS;
    this.names.add(name);
    return name;
  }

  private gauge(name: string, help: string, read: () => number | boolean): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(Number(read()));
      },
    });
  }
}
