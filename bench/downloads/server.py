"""nginx on loopback for one benchmark: unprivileged, with an authority made for the run alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.downloads.processes import cpu_s, descendants

CONF = """\
worker_processes 2;
{user}pid {home}/nginx.pid;
error_log {home}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_timeout 75s;
  keepalive_requests 1000000;
  output_buffers 2 512k;
  open_file_cache max=20000 inactive=600s;
  default_type video/mp4;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{http} backlog=1024;
    listen 127.0.0.1:{https} ssl backlog=1024;
    ssl_certificate {home}/server.pem;
    ssl_certificate_key {home}/server.key;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_cache shared:tls:4m;
    root {files};
    autoindex on;
  }}
}}
"""
STARTING_S = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """nginx, running."""

    pid: int
    ports: dict[str, int]  # by scheme
    ca_file: Path

    def url(self, scheme: str, corpus: str) -> str:
        """The folder of a corpus, with a slash at its end."""
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}/{corpus}/"

    def cpu_s(self) -> float:
        """User and system seconds of master and workers so far."""
        return sum(cpu_s(pid) for pid in descendants(self.pid))


@contextmanager
def serving(files: Path, home: Path) -> Iterator[Server]:
    """Serve *files* by http and https; the server's own files are in *home*."""
    home.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(("http", "https"), _free_ports(2), strict=True))
    _certify(home)
    conf = home / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # else workers could not read our folders
    conf.write_text(CONF.format(home=home, files=files, user=user, **ports))
    log = home / "nginx.log"
    command = ["nginx", "-p", str(home), "-c", str(conf), "-e", str(log), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for port in ports.values():
                _await(port, process, log)
            yield Server(process.pid, ports, home / "ca.pem")
        finally:
            process.send_signal(signal.SIGTERM)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTING_S
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    said = log.read_text() if log.exists() else ""
    raise SystemExit(f"nginx does not answer on port {port}: {said}")


def _certify(home: Path) -> None:
    """An authority, and a certificate of its own for 127.0.0.1."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(
        "req", "-x509", *key, "-days", "30", "-subj", "/CN=Authority of a benchmark",
        "-addext", "keyUsage=critical,keyCertSign", "-keyout", home / "ca.key",
        "-out", home / "ca.pem",
    )  # fmt: skip
    _openssl(
        "req", *key, "-subj", "/CN=127.0.0.1", "-keyout", home / "server.key",
        "-out", home / "server.csr",
    )  # fmt: skip
    extension = home / "server.ext"
    extension.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    _openssl(
        "x509", "-req", "-in", home / "server.csr", "-CA", home / "ca.pem",
        "-CAkey", home / "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", extension, "-out", home / "server.pem",
    )  # fmt: skip


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
