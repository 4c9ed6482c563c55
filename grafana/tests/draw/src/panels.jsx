// The kinds of panel. Stat, bar gauge, table and time series are Grafana's components. State timelines, status histories and heatmaps
// exist only in Grafana's server, in no package: their cells are drawn here, with the texts and colours that Grafana's field display
// gives each value.
import { dateTime, FieldType, formattedValueToString, getDisplayValueAlignmentFactors, getFieldDisplayName, getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { fieldConfigOf, hasNumbers } from './prepare.js';

export function Drawn(props) {
  const kind = {
    stat: Stat, bargauge: Bars, table: Table, timeseries: Lines, 'state-timeline': Timeline, 'status-history': History, heatmap: Heat,
  }[props.panel.type];
  if (!kind) {
    throw new Error(`a panel of the kind ${props.panel.type} cannot be drawn`);
  }
  const Kind = kind;
  return <Kind {...props} />;
}

const None = ({ panel }) => <div className="none">{panel.fieldConfig.defaults.noValue}</div>;

function displayed({ panel, data, theme, zone }, sparkline) {
  return getFieldDisplayValues({
    data, theme, sparkline, timeZone: zone, fieldConfig: fieldConfigOf(panel), reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
  });
}

function Stat(props) {
  const { panel, width, height, theme } = props;
  const { options } = panel;
  return (
    <VizRepeater width={width} height={height} source={props.data} renderCounter={0} orientation={options.orientation} autoGrid={true}
      itemSpacing={3} getValues={() => displayed(props, options.graphMode !== 'none')}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, alignmentFactors, count }) => (
        <BigValue value={value.display} count={count} sparkline={value.sparkline} width={width} height={height} theme={theme}
          colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode} textMode={options.textMode}
          alignmentFactors={alignmentFactors} wideLayout={options.wideLayout} text={options.text} />
      )} />
  );
}

function Bars(props) {
  const { panel, width, height, theme, data } = props;
  const { options } = panel;
  if (!hasNumbers(data)) {
    return <None {...props} />;
  }
  return (
    <VizRepeater width={width} height={height} source={data} renderCounter={0} orientation={options.orientation} itemSpacing={10}
      minVizWidth={options.minVizWidth} minVizHeight={options.minVizHeight} maxVizHeight={options.maxVizHeight}
      getValues={() => displayed(props, false)} getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, orientation, alignmentFactors, count }) => (
        <div className="bar"><BarGauge value={count > 1 ? value.display : { ...value.display, title: undefined }} width={width} height={height} orientation={orientation}
          field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)} theme={theme} itemSpacing={10} lcdCellWidth={12}
          displayMode={options.displayMode} alignmentFactors={alignmentFactors} showUnfilled={options.showUnfilled}
          valueDisplayMode={options.valueMode} namePlacement={options.namePlacement} text={options.text} /></div>
      )} />
  );
}

function Table(props) {
  const { panel, data, width, height, drawing } = props;
  const frame = data[panel.options.frameIndex];
  if (!frame || frame.fields.length === 0 || data.every(({ length }) => length === 0)) {
    return <None {...props} />;
  }
  return (
    <TableNG data={frame} width={width} height={height} noHeader={!panel.options.showHeader} cellHeight={panel.options.cellHeight}
      sortBy={panel.options.sortBy} noValue={panel.fieldConfig.defaults.noValue} enableVirtualization={false} structureRev={1}
      fieldConfig={fieldConfigOf(panel)} timeRange={range(drawing)} />
  );
}

const range = ({ from, to }) => ({ from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) } });

const shaded = new WeakSet();

// Annotations, as Grafana shades them: a span, and a line at its begin and end.
function shade(config, regions, theme) {
  if (shaded.has(config)) {
    return;
  }
  shaded.add(config);
  config.addHook('draw', (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { from, to, color } of regions) {
      const left = u.valToPos(from * 1000, 'x', true);
      const right = u.valToPos(to * 1000, 'x', true);
      ctx.fillStyle = theme.visualization.getColorByName(color);
      ctx.globalAlpha = 0.1;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 0.8;
      ctx.fillRect(left, bbox.top, 1, bbox.height);
      ctx.fillRect(right - 1, bbox.top, 1, bbox.height);
    }
    ctx.restore();
  });
}

function Lines(props) {
  const { panel, data, width, height, theme, zone, drawing } = props;
  if (!hasNumbers(data)) {
    return <None {...props} />;
  }
  return (
    <TimeSeries frames={data} width={width} height={height} theme={theme} timeZone={zone} timeRange={range(drawing)} structureRev={1}
      legend={panel.options.legend} options={panel.options}>
      {(config) => {
        shade(config, drawing.regions, theme);
        return null;
      }}
    </TimeSeries>
  );
}

const clock = (seconds, wide) => new Date(seconds * 1000).toISOString().slice(...(wide ? [5, 10] : [11, 16]));

function Axis({ from, to, indent }) {
  const wide = to - from > 3 * 86400;
  return (
    <div className="axis" style={{ paddingLeft: indent }}>
      {[0, 1, 2, 3, 4, 5, 6].map((n) => <span key={n}>{clock(from + (n * (to - from)) / 6, wide)}</span>)}
    </div>
  );
}

function spanOf(panel, drawing) {
  const [, count, unit] = panel.timeFrom?.match(/^(\d+)([dh])$/) ?? [];
  return { from: count ? drawing.to - count * { d: 86400, h: 3600 }[unit] : drawing.from, to: drawing.to };
}

const lanesOf = (data) => data.flatMap((frame) => frame.fields.filter(({ type }) => type === FieldType.number).map((field) => ({
  name: getFieldDisplayName(field, frame, data), field, times: frame.fields[0].values.map((at) => at / 1000), step: frame.fields[0].config.interval / 1000,
})));

const LEGEND = 26;
const AXIS = 18;

function Lanes({ panel, data, width, height, drawing, theme, spans, box }) {
  const { from, to } = spanOf(panel, drawing);
  const lanes = lanesOf(data);
  const longest = Math.max(...lanes.map(({ name }) => name.length));
  const indent = Math.min(width * 0.3, longest * 7 + 12);
  const room = height - AXIS - (panel.options.legend.showLegend ? LEGEND : 0);
  const place = (at) => `${(100 * (at - from)) / (to - from)}%`;
  const texts = new Map();
  return (
    <div className="lanes" style={{ height, overflow: 'hidden' }}>
      {lanes.map((lane, n) => (
        <div key={n} className="lane" style={{ height: room / lanes.length }}>
          <span className="name" style={{ width: indent }}>{lane.name}</span>
          <div className="track">
            {spans(lane, to).filter((span) => span.end > from).map((span, n) => {
              const shown = lane.field.display(span.value);
              const text = formattedValueToString(shown);
              texts.set(text, shown.color);
              return (
                <span key={n} className="span" title={text} data-value={text} style={{
                  left: place(Math.max(span.begin, from)), width: `calc(${(100 * (span.end - Math.max(span.begin, from))) / (to - from)}% - ${box})`,
                  background: shown.color, opacity: 0.9, color: theme.colors.getContrastText(shown.color),
                }}>{panel.options.showValue === 'never' ? '' : text}</span>
              );
            })}
          </div>
        </div>
      ))}
      <Axis from={from} to={to} indent={indent} />
      {panel.options.legend.showLegend && (
        <div className="key">{[...texts].map(([text, shade]) => <span key={text}><i style={{ background: shade }} />{text}</span>)}</div>
      )}
    </div>
  );
}

function Timeline(props) {
  if (!hasNumbers(props.data)) {
    return <None {...props} />;
  }
  // Equal neighbours are one span; a sample that is missing is a gap.
  const spans = ({ field, times, step }, to) => {
    const made = [];
    times.forEach((at, n) => {
      const last = made.at(-1);
      const value = field.values[n];
      if (last && last.end >= at - step * 0.5 && last.value === value) {
        last.end = Math.min(at + step, to);
      } else {
        made.push({ begin: at, end: Math.min(at + step, to), value });
      }
    });
    return made;
  };
  return <Lanes {...props} spans={spans} box="0px" />;
}

function History(props) {
  if (!hasNumbers(props.data)) {
    return <None {...props} />;
  }
  return <Lanes {...props} box="2px" spans={({ field, times, step }) =>
    times.map((at, n) => ({ begin: at - step / 2, end: at + step / 2, value: field.values[n] }))} />;
}

function Heat(props) {
  const { panel, data, width, height, drawing, theme } = props;
  if (!hasNumbers(data)) {
    return <None {...props} />;
  }
  const [frame] = data;
  const [time, ...buckets] = frame.fields;
  const most = Math.max(...buckets.flatMap(({ values }) => values));
  const { from, to } = drawing;
  const shade = (value) => theme.visualization.getColorByName('blue') + Math.round(255 * Math.sqrt(value / most)).toString(16).padStart(2, '0');
  return (
    <div className="lanes" style={{ height, overflow: 'hidden' }}>
      {[...buckets].reverse().map((bucket) => (
        <div key={bucket.name} className="lane" style={{ height: (height - AXIS) / buckets.length }}>
          <span className="name" style={{ width: 60 }}>{bucket.name}</span>
          <div className="track">{bucket.values.map((value, n) => value > 1e-9 && (
            <span key={n} className="span" data-value={value} style={{
              left: `${(100 * (time.values[n] / 1000 - from)) / (to - from)}%`, width: `${(100 * time.config.interval) / 1000 / (to - from)}%`, background: shade(value),
            }} />
          ))}</div>
        </div>
      ))}
      <Axis from={from} to={to} indent={60} />
    </div>
  );
}
