// What there is to be seen: one target, every state among two hundred, ten thousand.

import { HOSTILE } from './site.mjs';

const soon = { interval: '2s', timeout: '1500ms', confirm: { failures: 2, retry_interval: '300ms' } };

export function one(site) {
  return { global: soon, targets: [{ name: 'shop', target: `${site.http}/good` }] };
}

/** Each state that a target can be in, by name; the others are up. */
export const STATES = {
  down: ['status', 'timeout', 'expired', 'hostile', 'no-such-name', 'refused', 'gateway'],
  explained: ['behind-the-gateway'],
  shared: ['rack-1', 'rack-2', 'rack-3', 'rack-4', 'rack-5', 'rack-6'],
  maintenance: ['works'],
  unknown: ['shaky'],
  slow: ['slow'],
  ending: ['ending'],
};

/** `hostile`: with the targets whose names and answers are attacks; they make no good picture. */
export function everything(site, count = 200, { hostile = true } = {}) {
  const noon = (offset) => new Date(Date.now() + offset * 3_600_000).toISOString().slice(0, 19) + 'Z';
  const { http, port } = site;
  const targets = [
    { name: 'status', target: `${http}/unavailable`, display_name: 'Search', labels: { team: 'search' } },
    { name: 'timeout', target: `${http}/hang`, labels: { team: 'search' } },
    { name: 'expired', target: site.tls('expired'), labels: { team: 'web' } },
    { name: 'ending', target: site.tls('ending'), labels: { team: 'web' }, http: { tls_config: { insecure_skip_verify: true } } },
    { name: 'hostile', target: `${http}/hostile`, display_name: HOSTILE, labels: { team: HOSTILE } },
    { name: HOSTILE.replace('\u202e', ''), target: `${http}/good`, labels: { team: 'web' } },
    { name: 'no-such-name', target: 'http://no-such-name.example/', dns_servers: [site.names], labels: { team: 'web' } },
    { name: 'refused', target: '127.0.0.1:9', module: 'tcp', labels: { team: 'mail' } },
    { name: 'gateway', target: '127.0.0.1:9', module: 'tcp', labels: { team: 'network' } },
    { name: 'behind-the-gateway', target: `${http}/unavailable`, depends_on: ['gateway'], labels: { team: 'network' } },
    { name: 'works', target: `${http}/unavailable`, labels: { team: 'web' } },
    { name: 'shaky', target: `${http}/unavailable`, confirm: { failures: 100, retry_interval: '2s' }, labels: { team: 'web' } },
    { name: 'slow', target: `${http}/slow`, slow_threshold: '100ms', labels: { team: 'web' } },
    // Doors are broken and mended while somebody looks.
    { name: 'front-door', target: `${http}/door/front`, labels: { team: 'shop' } },
    { name: 'back-door', target: `${http}/door/back`, confirm: { failures: 100, retry_interval: '2s' }, labels: { team: 'shop' } },
    { name: 'a-name-that-is-quite-long-as-names-of-services-in-large-companies-tend-to-be.eu-central-1.example.com',
      target: `${http}/good`, labels: { team: 'web' } },
    ...STATES.shared.map((name) => ({ name, target: `127.0.7.1:7`, module: 'tcp', labels: { team: 'rack' } })),
  ];
  const shown = targets.filter((target) => hostile || (target.name !== 'hostile' && !target.name.includes('<')));
  for (let index = shown.length; index < count; index += 1) {
    const name = `service-${String(index).padStart(3, '0')}`;
    const address = `127.0.${1 + (index % 5)}.${1 + index % 200}`;
    const target = index % 4 === 0
      ? { name, target: `${address}:${port}`, module: 'tcp' }
      : { name, target: `http://${address}:${port}/good` };
    shown.push({ ...target, labels: { team: ['web', 'mail', 'search', 'shop'][index % 4] } });
  }
  return {
    config: {
      global: { ...soon, labels: { region: 'eu' }, region_name: 'Europe' },
      modules: {
        http_2xx: { prober: 'http', http: { preferred_ip_protocol: 'ip4' } },
        tcp: { prober: 'tcp', tcp: { preferred_ip_protocol: 'ip4' } },
      },
      targets: shown,
      maintenance: [{ name: 'move to the new rack', targets: ['works'], once: { start: noon(-1), end: noon(1) } }],
      notice_files: ['notices.yaml'],
    },
    files: {
      'notices.yaml': JSON.stringify([{
        targets: ['status'],
        cause: 'A disk of the index is full.',
        action: 'We are moving the index to a larger one.',
        next_update: noon(1),
      }]),
    },
  };
}

export function crowd(site, count = 10_000) {
  const targets = Array.from({ length: count }, (_, index) => ({
    name: `service-${String(index).padStart(5, '0')}.eu-central-1.example.com`,
    target: `127.0.${1 + (index % 5)}.${1 + index % 200}:${index % 50 === 0 ? 9 : site.port}`,
    module: 'tcp',
    labels: { team: `team-${index % 40}`, datacenter: `dc-${index % 7}` },
  }));
  return {
    global: { interval: '60s', timeout: '2s' },
    modules: { tcp: { prober: 'tcp', tcp: { preferred_ip_protocol: 'ip4' } } },
    targets,
  };
}

/** What customers see: services in groups, under the names that they know. `said`: the operator's notices. */
export function customers(site) {
  const service = (name, door, group) => ({
    name: `internal-${name}`, target: `${site.http}/door/${door}`, display_name: name,
    labels: { public: 'true', group, internal_label: 'internal-value' },
  });
  const noon = (offset) => new Date(Date.now() + offset * 3_600_000).toISOString().slice(0, 19) + 'Z';
  return {
    global: { interval: '1s', timeout: '900ms', confirm: { failures: 2, retry_interval: '200ms' }, labels: { region: 'internal-eu' }, region_name: 'Europe' },
    targets: [
      service('Search', 'search', 'core'), service('Sign-in', 'sign-in', 'core'), service('The shop', 'shop', 'core'),
      service('Mail', 'mail', 'more'), service('Reports', 'reports', 'more'),
      { name: 'internal-database', target: `${site.http}/good` },
    ],
    maintenance: [
      { name: 'internal-move', targets: ['internal-Reports'], once: { start: noon(-1), end: noon(1) } },
      { name: 'internal-upgrade', targets: ['internal-Mail'], once: { start: noon(24), end: noon(26) } },
    ],
    notice_files: ['notices.json'],
  };
}
