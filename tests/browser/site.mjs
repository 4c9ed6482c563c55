// The servers that the exporter watches: good ones, and one for each way to be wrong.

import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a page must show as text, wherever it comes from. */
export const HOSTILE = `<script>window.planted=1</script><img src=x onerror="window.planted=1">"'&\u202etxt`;

const good = (response) => response.end('All is well.\n');

/** Starts everything on loopback; `doors` can be broken and mended by name. */
export async function site() {
  const doors = new Map();
  const http = createServer((request, response) => {
    const [, kind, door] = new URL(request.url, 'http://site').pathname.split('/');
    switch (kind) {
      case 'slow':
        return void setTimeout(() => good(response), 300);
      case 'hang':
        return;
      case 'unavailable':
        response.writeHead(503, { 'Retry-After': '120' });
        return response.end('We are working on it.\n');
      case 'hostile':
        response.writeHead(500, { 'X-Hostile': HOSTILE.replaceAll('\u202e', '') });
        return response.end(HOSTILE);
      case 'door':
        if (doors.get(door) === 'broken') {
          response.writeHead(502);
          return response.end('The door is broken.\n');
        }
        return good(response);
      default:
        return good(response);
    }
  });
  const certificates = makeCertificates();
  const tls = {};
  for (const [name, files] of Object.entries(certificates)) {
    tls[name] = createTlsServer(files, (_, response) => good(response));
  }
  const servers = [http, ...Object.values(tls)];
  await Promise.all(servers.map((server) => listen(server)));
  const names = await nameServer();
  return {
    http: `http://127.0.0.1:${http.address().port}`,
    port: http.address().port,
    tls: (name) => `https://127.0.0.1:${tls[name].address().port}`,
    names: `127.0.0.1:${names.address().port}`,
    break: (door) => doors.set(door, 'broken'),
    mend: (door) => doors.delete(door),
    async stop() {
      names.close();
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

function listen(server) {
  return new Promise((resolve, reject) => server.once('error', reject).listen(0, '0.0.0.0', resolve));
}

/** Answers every question by NXDOMAIN. */
function nameServer() {
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    const answer = Buffer.from(question);
    answer.writeUInt16BE(0x8183, 2);
    socket.send(answer, from.port, from.address);
  });
  return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket)));
}

/** Self-signed ones: for a year, for five days more, and expired. */
function makeCertificates() {
  const folder = mkdtempSync(join(tmpdir(), 'uptime_exporter.browser.'));
  const day = (offset) => new Date(Date.now() + offset * 86_400_000).toISOString().replace(/[-:T]/g, '').slice(0, 14) + 'Z';
  const make = (name, from, to) => {
    const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
    const request = join(folder, `${name}.csr`);
    const quiet = { cwd: folder, stdio: 'pipe' };
    const subject = ['-subj', '/O=Example/CN=shop.example.com', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', request, ...subject], quiet);
    // The CA command alone takes dates on every OpenSSL that is still in use.
    const config = join(folder, 'ca.cnf');
    execFileSync('sh', ['-c', `: > index.txt; echo 01 > serial; printf '%s\n' '[ca]' 'default_ca=c' '[c]' 'dir=.' \
'database=index.txt' 'serial=serial' 'new_certs_dir=.' 'default_md=sha256' 'policy=p' 'copy_extensions=copy' 'unique_subject=no' \
'[p]' 'organizationName=optional' 'commonName=supplied' > ca.cnf`], quiet);
    execFileSync('openssl', ['ca', '-batch', '-config', config, '-selfsign', '-keyfile', key, '-in', request, '-out', certificate,
      '-startdate', day(from), '-enddate', day(to), '-notext'], quiet);
    return { key: readFileSync(key), cert: readFileSync(certificate) };
  };
  const certificates = { good: make('good', -10, 365), ending: make('ending', -360, 5), expired: make('expired', -400, -2) };
  rmSync(folder, { recursive: true });
  return certificates;
}
