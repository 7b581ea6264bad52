/** Metrics whose values are kept elsewhere: defined once, and set all at once whenever somebody asks. */
import { Counter, Gauge, type Registry } from 'prom-client';

export const METRIC_PREFIX = 'groundswell_';

/** Sets a metric to all its values; those that it had before are gone. */
export type SetAll = (
  values: Iterable<readonly [labels: Readonly<Record<string, string>>, value: number]>,
) => void;

/** Where metrics are defined: a name without the prefix, a help and the names of the labels. */
export interface MetricSet {
  readonly gauge: (name: string, help: string, labels?: readonly string[]) => SetAll;
  /** A value that only grows; its name ends with `_total`. */
  readonly total: (name: string, help: string, labels?: readonly string[]) => SetAll;
}

export function metricSet(registry: Registry): MetricSet {
  const registers = [registry];
  return {
    gauge(name, help, labels = []) {
      const gauge = new Gauge({ name: METRIC_PREFIX + name, help, labelNames: [...labels], registers });
      return (values) => {
        gauge.reset();
        for (const [of, value] of values) gauge.set(of, value);
      };
    },
    total(name, help, labels = []) {
      const counter = new Counter({ name: METRIC_PREFIX + name, help, labelNames: [...labels], registers });
      return (values) => {
        counter.reset();
        for (const [of, value] of values) counter.inc(of, value);
      };
    },
  };
}
