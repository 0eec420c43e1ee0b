import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { proxyCore } from '../machine.js'
import { firstLine, isInstalled, start } from '../processes.js'
import { CIPHER_SUITE } from './certificate.js'
import type { Contender, Feature, ProxySetup } from './proxy.js'

/** Where distributions put nginx's loadable modules. */
const MODULE_FOLDERS = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/etc/nginx/modules']
const streamModule = MODULE_FOLDERS.map((folder) => `${folder}/ngx_stream_module.so`).find(existsSync)

export const nginx: Contender = {
  name: 'nginx',
  title: 'nginx',
  version: () => (isInstalled('nginx') ? /nginx\/([\d.]+)/.exec(firstLine('nginx', ['-v']))?.[1] : undefined),
  features: new Set<Feature>([
    'http',
    'websocket',
    'tls',
    'grpc',
    'access-log',
    ...(streamModule ? (['tcp'] as const) : []),
  ]),
  async start(setup) {
    const file = join(setup.folder, 'nginx.conf')
    writeFileSync(file, nginxConfig(setup))
    return start({ command: 'nginx', args: ['-p', setup.folder, '-e', 'stderr', '-c', file], core: proxyCore })
  },
}

function nginxConfig(setup: ProxySetup): string {
  return `
daemon off;
${setup.mode === 'tcp' ? `load_module ${streamModule};` : ''}
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${setup.folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 12000; }
${setup.mode === 'tcp' ? stream(setup) : http(setup)}
`
}

function stream({ port, targetPort }: ProxySetup): string {
  return `
stream {
  server { listen 127.0.0.1:${port} backlog=4096; proxy_pass 127.0.0.1:${targetPort}; }
}`
}

/** Bodies pass through as they come, like with the others, never by way of a file. */
function http({ mode, port, targetPort, folder, certificate, accessLog }: ProxySetup): string {
  const tls =
    certificate === undefined
      ? ''
      : `
    ssl_certificate ${certificate.certificate};
    ssl_certificate_key ${certificate.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites ${CIPHER_SUITE};
    ssl_session_cache shared:bench:10m;`
  return `
http {
  access_log ${accessLog === undefined ? 'off' : `${accessLog} combined buffer=32k flush=1s`};
  keepalive_timeout 60s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream target {
    server 127.0.0.1:${targetPort};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  map $http_upgrade $connection_to_target { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} ${certificate === undefined ? '' : 'ssl http2'} backlog=4096;${tls}
    location / {
      ${mode === 'grpc' ? 'grpc_pass grpc://target' : 'proxy_pass http://target'};
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_request_buffering off;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_to_target;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}`
}
