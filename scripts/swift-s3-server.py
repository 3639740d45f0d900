"""OpenStack Swift with its S3 API on loopback ports: one proxy, one account, one container and one object server in one
process each, one replica on one folder, no replication, and the memcached without which Swift's tempauth refuses everybody. Started by scripts/swift-s3.sh, ended by a signal or
with its watcher.

usage: swift-s3-server.py DIRECTORY WATCHED-PID
"""
import base64
import configparser
import email.utils
import hmac
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

# Whoever started the script may wait for its end by a descriptor that we would hold open.
os.closerange(3, 4096)
directory, watched = pathlib.Path(sys.argv[1]), int(sys.argv[2])
access, secret = "test:tester", "a-secret-of-the-test"
servers = ("account", "container", "object", "proxy")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


ports = {name: free_port() for name in servers + ("memcached",)}
devices = directory / "devices"
(devices / "d1").mkdir(parents=True)


def write(name, sections):
    config = configparser.RawConfigParser()
    config.read_dict(sections)
    with open(directory / name, "w") as file:
        config.write(file)


# The two parts of every object's place in the ring; any random text.
write("swift.conf", {"swift-hash": {"swift_hash_path_suffix": os.urandom(8).hex()},
                     "storage-policy:0": {"name": "one", "default": "yes"}})
common = {"bind_ip": "127.0.0.1", "swift_dir": directory, "user": os.environ.get("USER") or "root", "workers": "0",
          "log_level": "WARNING"}
for name in ("account", "container", "object"):
    write(name + ".conf", {
        "DEFAULT": dict(common, bind_port=ports[name], devices=devices, mount_check="false", fallocate_reserve="0",
                        disable_fallocate="true"),
        "pipeline:main": {"pipeline": f"{name}-server"},
        f"app:{name}-server": {"use": f"egg:swift#{name}"},
    })
write("proxy.conf", {
    "DEFAULT": dict(common, bind_port=ports["proxy"]),
    "pipeline:main": {"pipeline": "catch_errors gatekeeper cache listing_formats s3api tempauth copy slo proxy-server"},
    "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true", "allow_account_management": "true"},
    "filter:catch_errors": {"use": "egg:swift#catch_errors"},
    "filter:gatekeeper": {"use": "egg:swift#gatekeeper"},
    "filter:cache": {"use": "egg:swift#memcache", "memcache_servers": f"127.0.0.1:{ports['memcached']}"},
    "filter:listing_formats": {"use": "egg:swift#listing_formats"},
    "filter:s3api": {"use": "egg:swift#s3api", "location": "us-east-1", "dns_compliant_bucket_names": "true",
                     "min_segment_size": os.environ.get("MIN_PART_BYTES", str(5 << 20))},
    "filter:tempauth": {"use": "egg:swift#tempauth", "user_test_tester": f"{secret} .admin"},
    "filter:copy": {"use": "egg:swift#copy"},
    "filter:slo": {"use": "egg:swift#slo"},
})

from swift.common.ring import RingBuilder  # noqa: E402

for name in ("account", "container", "object"):
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[name], "device": "d1", "weight": 1})
    builder.rebalance()
    builder.get_ring().save(str(directory / f"{name}.ring.gz"))

start = ("import eventlet; eventlet.patcher.monkey_patch(); import sys; from swift.common.utils import set_swift_dir;"
         "set_swift_dir(sys.argv[3]); from swift.common.wsgi import run_wsgi;"
         "sys.exit(run_wsgi(sys.argv[1], sys.argv[2], verbose=True))")
children = []


def stop(*_):
    for child in children:
        child.terminate()
    sys.exit(0)


def fail(kind, value, trace):
    sys.__excepthook__(kind, value, trace)
    stop()


sys.excepthook = fail
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
children.append(subprocess.Popen(
    ["memcached", "-l", "127.0.0.1", "-p", str(ports["memcached"]), "-U", "0", "-m", "16", "-u", common["user"]],
    stdin=subprocess.DEVNULL))
for name in servers:
    log = open(directory / f"{name}.log", "wb")
    children.append(subprocess.Popen([sys.executable, "-c", start, str(directory / f"{name}.conf"), f"{name}-server",
                                      str(directory)],
                                     stdout=log, stderr=log, stdin=subprocess.DEVNULL))


def answers(name):
    try:
        with socket.create_connection(("127.0.0.1", ports[name]), 1):
            return True
    except OSError:
        return False


for _ in range(300):
    if all(map(answers, ports)):
        break
    if any(child.poll() is not None for child in children):
        print("a server ended; see *.log", file=sys.stderr)
        stop()
    time.sleep(0.1)
else:
    print("the servers do not answer", file=sys.stderr)
    stop()

endpoint = f"http://127.0.0.1:{ports['proxy']}"
# The bucket, with the signature of S3's second version, which is short.
date = email.utils.formatdate(usegmt=True)
signature = base64.b64encode(hmac.digest(secret.encode(), f"PUT\n\n\n{date}\n/bucket".encode(), "sha1")).decode()
with urllib.request.urlopen(urllib.request.Request(
        endpoint + "/bucket", method="PUT", headers={"Date": date, "Authorization": f"AWS {access}:{signature}"})):
    pass

(directory / "swift-s3.pid").write_text(str(os.getpid()))
partial = directory / "swift-s3.env.partial"
partial.write_text(f"EPHEMERALML_TEST_S3='s3://bucket?region=us-east-1&endpoint={endpoint}'\n"
                   f"AWS_ACCESS_KEY_ID={access}\nAWS_SECRET_ACCESS_KEY={secret}\n")
partial.rename(directory / "swift-s3.env")
while (not watched or os.path.exists(f"/proc/{watched}")) and all(child.poll() is None for child in children):
    time.sleep(0.5)
stop()
