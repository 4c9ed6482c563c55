// What the drawn dashboards must say. First what holds of any, then what holds of each in the scenario.

const panelsOf = (board) => board.panels.flatMap((panel) => (panel.type === 'row' ? panel.panels : [panel]));
const nameOf = (panel) => panel.title || 'headline';

// Problems of any dashboard, drawn at any width.
export function anyway(board, readings, wide) {
  const problems = [];
  const empties = new Map(panelsOf(board).filter(({ fieldConfig }) => fieldConfig.defaults.noValue.length > 1)
    .map((panel) => [panel.fieldConfig.defaults.noValue, nameOf(panel)]));
  const drawn = new Map(readings.map((reading) => [reading.panel, reading]));
  for (const panel of panelsOf(board)) {
    const name = nameOf(panel);
    const reading = drawn.get(name);
    const tell = (problem) => problems.push(`${name}: ${problem}`);
    if (!reading) {
      tell('is not drawn');
      continue;
    }
    const said = reading.lines.filter((line) => line !== name);
    if (said.length === 0 && panel.type !== 'timeseries') {
      tell('says nothing');
    }
    for (const line of said) {
      if (/NaN|undefined|Infinity|\[object|\bnull\b/.test(line)) {
        tell(`says ${line}`);
      }
      const share = line.match(/^-?(\d+(?:\.\d+)?)\s?%/);
      if (share && Number(share[1]) > 100) {
        tell(`says ${line}, which is no share of anything`);
      }
      if (/^(Value( #[A-Z])?|[a-z_]+=".*")$/.test(line) && panel.type !== 'table') {
        tell(`has a series called ${line}`);
      }
    }
    if (reading.columns) {
      const renamed = panel.transformations.find(({ id }) => id === 'organize').options.renameByName;
      const headings = new Set(Object.values(renamed));
      reading.columns.filter((column) => !headings.has(column)).forEach((column) => tell(`has a column ${column || 'without a heading'}`));
      for (const cell of reading.rows.flat()) {
        if (cell === '') {
          tell('has an empty cell');
        }
        if (empties.has(cell)) {
          tell(`has a cell that says ${cell}, which is for ${empties.get(cell)} when it is empty`);
        }
      }
      if (wide) {
        reading.cut.forEach((text) => tell(`has no room for ${text}`));
      }
    }
    if (panel.type === 'timeseries') {
      const names = said.filter((line) => !/^[\d.]/.test(line));
      names.filter((one, n) => names.indexOf(one) !== n).forEach((one) => tell(`has two series called ${one}`));
    }
  }
  return problems;
}

// The readings of one dashboard, to ask.
class Board {
  constructor(readings) {
    this.readings = readings;
  }

  panel(name) {
    const found = this.readings.find(({ panel }) => panel === name);
    if (!found) {
      throw new Error(`no panel ${name}`);
    }
    return found;
  }

  // What a stat says below its title.
  says(name) {
    return this.panel(name).lines.filter((line) => line !== name).join(' ');
  }

  // The value of a name, where a stat has several.
  value(name, of) {
    const { lines } = this.panel(name);
    return lines[lines.indexOf(of) + 1];
  }

  // The cells of the rows whose first cells are these, by their heading.
  rows(name, ...first) {
    const { columns, rows } = this.panel(name);
    return (rows ?? []).filter((cells) => first.every((text, n) => cells[n] === text))
      .map((cells) => Object.fromEntries(columns.map((column, n) => [column, cells[n]])));
  }

  row(name, ...first) {
    const [found] = this.rows(name, ...first);
    if (!found) {
      throw new Error(`${name} has no row ${first.join(', ')}`);
    }
    return found;
  }

  column(name, heading) {
    return this.rows(name).map((row) => row[heading]);
  }

  lane(name, lane) {
    return this.panel(name).spans.find((one) => one.name === lane)?.values ?? [];
  }
}

const equal = (found, wanted) => JSON.stringify(found) === JSON.stringify(wanted);
const LENGTH = /^(\d+ d )?\d\d:\d\d:\d\d$/;
const AT = /^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d$/;
const RACK = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `rack-${n}`);

// Claims: pairs of what should hold and whether it does.
const claims = {
  *'uptime-overview'(board) {
    const down = new Set(board.rows('Down now').filter(({ State }) => State === 'Down').map(({ Target }) => Target));
    const regional = board.row('Down now', 'regional');
    yield ['the numbers add up', ['Failing or slow: Down', 'Failing or slow: From some', 'Other targets: Maintenance', 'Other targets: Unknown', 'Other targets: Up']
      .reduce((sum, place) => sum + Number(board.value(...place.split(': '))), 0) === board.rows('All targets').length];
    yield ['what is down somewhere is listed', ['closed', 'untrusted', 'gateway', 'door', 'regional', ...RACK].every((name) => down.has(name))];
    yield ['what is up is not', ['shop', 'slow', 'moved', 'blinking'].every((name) => !down.has(name))];
    yield ['maintenance is marked', board.rows('Down now', 'works').every(({ State }) => State === 'Maintenance') && board.rows('Down now', 'works').length === 2];
    yield ['a line says what, since when, how far and why', AT.test(regional.Since) && LENGTH.test(regional.For)
      && equal([regional.Region, regional.State, regional.Scope, regional.Reason],
        ['us-east', 'Down', 'single-region', 'http_status']) && regional.Evidence === 'Evidence'];
    yield ['a line says what explains it', board.row('Down now', 'door').Behind === 'gateway' && board.row('Down now', 'rack-1').Shared === '127.0.0.2'];
    yield ['the cause of most comes first', equal(board.column('Causes', 'Cause'), ['127.0.0.2', 'gateway']) && equal(board.column('Causes', 'Down'), ['8', '1'])];
    yield ['a cell without a value is a dash', board.row('Causes', 'target').Good === '-'];
    yield ['what fires is listed', board.row('Alerts that fire', 'TargetDown', 'closed').Severity === 'critical'
      && board.row('Alerts that fire', 'SharedOutage').Cause === '127.0.0.2'];
    yield ['what is in maintenance or explained pages nobody', board.rows('Alerts that fire', 'TargetDown').every(({ Target }) => !['works', 'door'].includes(Target))];
    yield ['a region without anchors is seen', equal(['eu-west', 'us-east', 'cut-off'].map((name) => board.row('Regions', name)['Anchors answer']), ['Yes', 'Yes', 'No'])];
    yield ['regions have the name that customers know', board.row('Regions', 'eu-west')['As customers know it'] === 'EU'];
    yield ['all targets have a state, the worst first', equal([...new Set(board.column('All targets', 'State'))],
      ['Down', 'Down from some regions', 'Maintenance', 'Unknown', 'Up'])];
    const shop = board.row('All targets', 'shop');
    yield ['the table has what the public one has', shop.State === 'Up' && /^\d+\.\d\d%$/.test(shop.Uptime) && / (ms|µs|s)$/.test(shop.Latency)
      && shop.Status === '200' && /^(9|10) d$/.test(shop.Certificate) && shop.Slow === 'no'];
    yield ['what is slow is marked', board.row('All targets', 'slow').Slow === 'slow'];
    const tiles = board.panel('Map of states').lines.join('\n');
    yield ['the map has every target with its state', tiles.includes('closed\nDown') && tiles.includes('works\nMaintenance') && tiles.includes('afar\nUnknown')];
    yield ['the timeline tells the story', board.lane('States', 'closed').at(-1) === 'Down' && board.lane('States', 'regional').includes('Down from some regions')
      && equal(board.lane('States', 'works'), ['Maintenance']) && board.lane('States', 'shop').includes('Down') && board.lane('States', 'shop').at(-1) === 'Up'];
    yield ['certificates count days', board.says('Certificates that end soonest').includes('shop 10 d')];
  },
  *'uptime-target'(board) {
    yield ['it is up', equal([board.says('State'), board.says('Down for')], ['Up', '-'])];
    yield ['one outage was in the range', board.says('Outages') === '1' && board.lane('Verdict by region', 'eu-west').includes('Down')];
    yield ['it was not down since', board.row('Regions side by side', 'eu-west')['Down since'] === '-'];
    const what = board.rows('What is probed')[0];
    yield ['how it is probed', what.Module === 'http_2xx' && what['Slow above'] === '2 s' && what.Objective === '99%' && what['Shown to customers as'] === 'The shop'];
    yield ['phases are in their order', equal(board.panel('Phases of a run').lines.slice(1), ['resolve', 'connect', 'tls', 'processing', 'transfer'])];
    yield ['the threshold that no run came near is left out', !board.panel('Phases of a run').lines.includes('slow_threshold')];
    yield ['status codes', equal(board.lane('Status codes by region', 'us-east').slice(-2), ['503', '200'])];
    yield ['the certificate', board.rows("The peer's own certificate")[0].Subject === 'CN=shop.example' && board.says('Certificate') === '10 d'];
    yield ['reasons', board.lane('Reasons by region', 'eu-west http_status').includes('failing')];
    yield ['empty panels say so', board.says('Notice') === 'No notice' && board.says('What explains the outage') === 'The target is not down'];
  },
  *'uptime-target-down'(board) {
    yield ['it is down', board.says('State') === 'Down' && LENGTH.test(board.says('Down for'))];
    const region = board.row('Regions side by side', 'us-east');
    yield ['why', equal([region.State, region.Reason, region.Finding, region.Status], ['Down', 'connect_refused', 'port_closed', '-']) && AT.test(region['Down since'])];
    yield ['the operator says', equal(Object.values(board.rows('Notice')[0]), ['A disk is full', 'We make room', '2100-01-01 12:00:00'])];
  },
  *'uptime-target-behind'(board) {
    const known = board.row('What explains the outage', 'eu-west');
    yield ['what explains it', equal([known.Behind, known['Which is']], ['gateway', 'down'])];
  },
  *'uptime-status'(board) {
    yield ['the headline', board.says('headline') === 'There is an outage'];
    const now = Object.fromEntries(board.rows('Services now').map((row) => [row.Service, row.State]));
    yield ['each service', equal([now.Mail, now.Pictures, now.Reports, now['Far away'], now.News],
      ['Outage', 'Some users affected', 'Maintenance', 'Not known', 'Operational'])];
    yield ['the worst first', board.column('Services now', 'State')[0] === 'Outage' && board.column('Services now', 'State').at(-1) === 'Operational'];
    yield ['since when', AT.test(board.row('Services now', 'Mail').Since) && board.row('Services now', 'News').Since === '-'];
    yield ['the notice', board.row('Notices', 'Mail')['Next update'] === '2100-01-01 12:00:00'];
    yield ['the bad day of ninety', board.lane('Last 90 days', 'Search').length > 85 && board.lane('Last 90 days', 'Search').some((share) => parseFloat(share) < 80)];
    yield ['uptime', equal(Object.values(board.row('Uptime', 'Maps')), ['Maps', '100.000%', '100.000%', '100.000%', '100.000%'])];
  },
  *'uptime-slo'(board) {
    const closed = board.row('Report', 'closed');
    yield ['a budget that is used up says so, and how many times', closed['Budget used'] === 'all' && /^\d+\.\d times$/.test(closed.Over)];
    yield ['one that is not', /^\d{1,2}%$/.test(board.row('Report', 'moved')['Budget used']) && board.row('Report', 'moved').Over === '-'];
    yield ['the worst first', parseFloat(board.column('Report', 'Over')[0]) >= parseFloat(board.column('Report', 'Over')[1])];
    yield ['lengths of time', LENGTH.test(closed.Downtime) && LENGTH.test(board.row('Report', 'works').Maintenance)];
    yield ['maintenance has no uptime', board.row('Report', 'works').Uptime === '-' && board.row('Report', 'works')['Time to recover'] === '-'];
    yield ['what is left is a time', / -?\d+(\.\d+)? (s|mins|hours|days)$/.test(board.says('Error budget left'))];
    yield ['regions by name', ['eu-west', 'us-east', 'cut-off'].every((region) => board.panel('Reachability by region').lines.includes(region))];
  },
  *'uptime-exporter'(board) {
    const rows = board.rows('Exporters');
    yield ['three exporters, each with its state', rows.length === 3 && rows.every((row) => row['Last reload'] === 'succeeded' && row['Writes failed'] === '0'
      && /ago$/.test(row['State written']))];
    yield ['reasons have their names', board.panel('Runs that said nothing').lines.includes('vantage')];
    yield ['the one that is cut off', board.panel('Anchors and name servers').spans.filter(({ values }) => values.at(-1) === 'no answer').length === 1];
  },
};

export function wrong(name, readings) {
  const found = [];
  let held = 0;
  try {
    for (const [claim, holds] of claims[name](new Board(readings))) {
      holds ? held += 1 : found.push(`does not hold: ${claim}`);
    }
  } catch (error) {
    found.push(error.message);
  }
  return { found, held };
}

// Nothing internal reaches a customer's browser: neither as text, nor in the answers that it draws from.
const PUBLIC = new Set(['display_name', 'cause', 'action', 'next_update']);
export function leaks(drawing, readings) {
  const labels = Object.values(drawing.answers).flat().flatMap(({ result }) => result.flatMap(({ metric }) => Object.keys(metric)));
  const problems = [...new Set(labels.filter((label) => !PUBLIC.has(label)))].map((label) => `the label ${label} reaches the browser`);
  const text = JSON.stringify([Object.values(drawing.answers).flat().map(({ result }) => result), readings]);
  for (const word of ['127.0.0', 'internal.example.com', 'gateway', 'rack-', 'eu-west', 'us-east', 'cut-off', 'http_status', 'connect_refused', 'http_2xx']) {
    if (text.includes(word)) {
      problems.push(`${word} reaches the browser`);
    }
  }
  return problems;
}

// Faults that there were, put back: each must be noticed.
export const faults = {
  'a cell that says what the empty panel says': (board) => {
    panelsOf(board).filter(({ type }) => type === 'table').forEach(({ fieldConfig }) => fieldConfig.overrides.shift());
  },
  'one name for every series': (board) => {
    panelsOf(board).filter(({ type }) => type === 'timeseries').forEach(({ fieldConfig }) =>
      fieldConfig.overrides.push({ matcher: { id: 'byName', options: 'Value' }, properties: [{ id: 'displayName', value: 'none' }] }));
  },
  'a column by the name of its query': (board) => {
    panelsOf(board).flatMap(({ transformations = [] }) => transformations).filter(({ id }) => id === 'organize')
      .forEach(({ options }) => delete options.renameByName['Value #B']);
  },
  'a column that is too narrow': (board) => {
    panelsOf(board).find(({ title }) => title === 'Down now').fieldConfig.overrides.push(
      { matcher: { id: 'byName', options: 'Reason' }, properties: [{ id: 'custom.width', value: 50 }] });
  },
};
