import { LARGE_PATH, SINK_PATH, SMALL_BYTES, SMALL_PATH } from './content.js'

/**
 * nginx as the target. The sink hands the request on to nginx itself without its body, since an answer given at once
 * would come before the body was read.
 */
export function nginxOriginConfig(folder: string, port: number, innerPort: number): string {
  return `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  default_type text/plain;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream inner {
    server 127.0.0.1:${innerPort};
    keepalive 64;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${innerPort} backlog=4096;
    location / { return 200 "received\\n"; }
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = / { return 200 "ok\\n"; }
    location = ${SMALL_PATH} { return 200 "${'x'.repeat(SMALL_BYTES)}"; }
    location = ${LARGE_PATH} { alias ${folder}/large; }
    location = ${SINK_PATH} {
      client_body_buffer_size 2m;
      proxy_pass http://inner;
      proxy_http_version 1.1;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Connection "";
    }
  }
}
`
}
