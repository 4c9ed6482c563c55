// What Prometheus answered, as the data frames that Grafana's data source makes of it: a frame for each series, or one table for
// each query; buckets of a histogram as differences from the one below.
import { FieldType, toDataFrame } from '@grafana/data';

function legend(format, metric) {
  if (format === '__auto') {
    const { __name__: name = '', ...labels } = metric;
    const text = Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(', ');
    return text ? `${name}{${text}}` : name || undefined;
  }
  return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
}

const samples = (series) => (series.values ?? [series.value]).map(([at, value]) => [at * 1000, parse(value)]);
const parse = (value) => ({ '+Inf': Infinity, '-Inf': -Infinity })[value] ?? parseFloat(value);

function seriesFrame({ target, step }, series) {
  const points = samples(series);
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([at]) => at), config: { interval: step * 1000 } },
      {
        name: 'Value',
        type: FieldType.number,
        labels: series.metric,
        values: points.map(([, value]) => value),
        config: { displayNameFromDS: legend(target.legendFormat, series.metric) },
      },
    ],
  });
}

function tableFrame({ target, result }, count) {
  const labels = [];
  for (const { metric } of result) {
    labels.push(...Object.keys(metric).sort().filter((label) => !labels.includes(label)));
  }
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: result.map((series) => samples(series)[0][0]) },
      ...labels.map((label) => ({ name: label, type: FieldType.string, values: result.map(({ metric }) => metric[label] ?? '') })),
      { name: count > 1 ? `Value #${target.refId}` : 'Value', type: FieldType.number, values: result.map((series) => samples(series)[0][1]) },
    ],
  });
}

function bucketFrame(answer) {
  const bound = ({ metric }) => parse(metric.le);
  const series = [...answer.result].sort((a, b) => bound(a) - bound(b)).map((one) => seriesFrame(answer, one));
  if (series.length === 0) {
    return [];
  }
  const [time] = series[0].fields;
  const sums = series.map((frame) => new Map(frame.fields[1].values.map((value, n) => [frame.fields[0].values[n], value])));
  const buckets = series.map((frame, n) => ({
    ...frame.fields[1],
    name: frame.fields[1].config.displayNameFromDS,
    values: time.values.map((at) => Math.max(0, (sums[n].get(at) ?? 0) - (n ? sums[n - 1].get(at) ?? 0 : 0))),
  }));
  return [toDataFrame({ refId: answer.target.refId, fields: [time, ...buckets] })];
}

// The frames of a panel. A query without a result counts for the names of columns all the same.
export function frames(answers) {
  const tables = answers.filter(({ target }) => target.format === 'table');
  const made = [];
  for (const answer of answers) {
    if (answer.target.format === 'table') {
      if (tables.some(({ result }) => result.length > 0)) {
        made.push(tableFrame(answer, tables.length));
      }
    } else if (answer.target.format === 'heatmap') {
      made.push(...bucketFrame(answer));
    } else {
      made.push(...answer.result.map((series) => seriesFrame(answer, series)));
    }
  }
  return made;
}
