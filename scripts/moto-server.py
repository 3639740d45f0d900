"""moto's S3 on a free loopback port, with one bucket; started by scripts/moto.sh, ended by a signal or with its watcher.

With INITIAL_NO_AUTH_ACTION_COUNT=4 moto demands valid signatures after the four requests made here, which create the
user, its rights and key, and the bucket.
"""
import functools
import json
import os
import pathlib
import sys
import threading
import time

# Whoever started the script may wait for its end by a descriptor that we would hold open.
os.closerange(3, 4096)
directory, watched = pathlib.Path(sys.argv[1]), int(sys.argv[2])
demands_signatures = bool(os.environ.get("INITIAL_NO_AUTH_ACTION_COUNT"))
if not demands_signatures:
    os.environ.pop("INITIAL_NO_AUTH_ACTION_COUNT", None)

import boto3  # noqa: E402  (moto reads the environment when it is imported)
from moto.s3.responses import S3Response  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402


def one_at_a_time(function, lock=threading.RLock()):
    """moto looks whether an object is there, and then writes: of eight writers with If-None-Match two may win, which S3
    does not allow. So it is made to do one at a time."""
    @functools.wraps(function)
    def locked(*arguments, **names):
        with lock:
            return function(*arguments, **names)
    return locked


S3Response.put_object = one_at_a_time(S3Response.put_object)
S3Response._key_response_post = one_at_a_time(S3Response._key_response_post)

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
endpoint = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
access, secret = "AKIAEXAMPLEEXAMPLE", "a-secret-of-the-demo"


def client(service):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access,
                        aws_secret_access_key=secret)


if demands_signatures:
    iam = client("iam")
    iam.create_user(UserName="store")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="store", PolicyName="store", PolicyDocument=json.dumps(allow))
    key = iam.create_access_key(UserName="store")["AccessKey"]
    access, secret = key["AccessKeyId"], key["SecretAccessKey"]
client("s3").create_bucket(Bucket="bucket")

(directory / "moto.pid").write_text(str(os.getpid()))
partial = directory / "moto.env.partial"
partial.write_text(f"EPHEMERALML_S3_ENDPOINT={endpoint}\nAWS_ACCESS_KEY_ID={access}\n"
                   f"AWS_SECRET_ACCESS_KEY={secret}\nAWS_REGION=us-east-1\n")
partial.rename(directory / "moto.env")
while not watched or os.path.exists(f"/proc/{watched}"):
    time.sleep(0.5)
