#!/usr/bin/env python3
"""Makes Tests/Vectors/sigv4/botocore.json: requests as botocore itself serialises and signs them.

Needs botocore 1.43 (`python3 -m pip install botocore==1.43.11` in a virtual environment). Nothing is sent: every
request is caught just before it would leave. Run from the repository root: scripts/golden-sigv4.py
"""
import datetime
import hashlib
import json
import pathlib
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.session

ACCESS, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2Vj//////////wEaCXVz+x=="
WHEN = datetime.datetime(2026, 3, 1, 23, 59, 59, tzinfo=datetime.timezone.utc)
botocore.auth.get_current_datetime = lambda *_, **__: WHEN

HARD_KEYS = [
    "plain.txt", "a=b", "a+b", "with space", "two  spaces", "ünïcode/日本語/😀", "percent%2Fencoded", "tilde~ok",
    "star*paren(s)'quote'", "semi;colon:at@amp&dollar$,", "question?mark#hash", "back\\slash[brackets]{braces}",
    "double//slash", "dot/./and/../dots", "trailing/", "e\u0301 decomposed", "inbox/default/" + "0f" * 32 + ".age",
]
vectors = []


def record(name, service, region, token, request, raw_path, query, payload):
    url = urllib.parse.urlsplit(request.url)
    header = lambda v: v.decode() if isinstance(v, bytes) else str(v)
    headers = {k: header(v) for k, v in request.headers.items()}
    authorization = headers.pop("Authorization")
    signed = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    made_by_signer = {"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
    vectors.append({
        "name": name, "service": service, "region": region, "token": token, "seconds": int(WHEN.timestamp()),
        "method": request.method, "host": url.netloc, "path": raw_path, "query": query,
        "headers": [[k, v] for k, v in headers.items() if k.lower() in signed and k.lower() not in made_by_signer],
        "payload": payload,
        "expect": {"wirePath": url.path, "wireQuery": url.query, "authorization": authorization,
                   "contentSHA256": headers.get("X-Amz-Content-SHA256")},
    })


def client(service, region, token, endpoint, signed):
    session = botocore.session.Session()
    session.set_credentials(ACCESS, SECRET, token)
    return session.create_client(
        service, region_name=region, endpoint_url=endpoint,
        config=botocore.config.Config(
            s3={"addressing_style": "path", "payload_signing_enabled": signed},
            request_checksum_calculation="when_required", retries={"total_max_attempts": 1}))


def s3(name, operation, arguments, raw_path, query, body=b"", token=None, endpoint="http://127.0.0.1:5000",
       signed=True):
    caught = []
    s3_client = client("s3", "eu-central-1", token, endpoint, signed)

    def catch(request, **_):
        caught.append(request)
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, type("Raw", (), {
            "stream": lambda self, *a, **k: iter([b"<a/>"]), "read": lambda self, *a, **k: b""})())

    s3_client.meta.events.register("before-send.s3", catch)
    try:
        getattr(s3_client, operation)(Bucket="bucket", **arguments)
    except Exception:
        if not caught:
            raise
    payload = {"hex": body.hex()}
    if caught[0].headers.get("X-Amz-Content-SHA256") in (b"UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD"):
        payload = None
    record(name, "s3", "eu-central-1", token, caught[0], raw_path, query, payload)


def plain(name, service, method, raw_path, query, headers, body, token=None):
    """botocore's signer of the other services, on a request built by hand."""
    url = "https://" + service + ".us-east-1.amazonaws.com" + urllib.parse.quote(raw_path, safe="/~")
    if query:
        url += "?" + "&".join(urllib.parse.quote(k, safe="-_.~") + "=" + urllib.parse.quote(v, safe="-_.~") for k, v in query)
    request = botocore.awsrequest.AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    credentials = botocore.credentials.Credentials(ACCESS, SECRET, token)
    botocore.auth.SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    record(name, service, "us-east-1", token, request.prepare(), raw_path, query, {"hex": body.hex()})


for key in HARD_KEYS:
    s3(f"get {key}", "get_object", {"Key": key}, f"/bucket/{key}", [])
    s3(f"put {key}", "put_object", {"Key": key, "Body": b"sealed", "IfNoneMatch": "*",
       "ContentType": "application/octet-stream"}, f"/bucket/{key}", [], b"sealed")
    s3(f"list {key}", "list_objects_v2", {"Prefix": key, "StartAfter": key, "MaxKeys": 10, "EncodingType": "url"},
       "/bucket", [["list-type", "2"], ["prefix", key], ["start-after", key], ["max-keys", "10"], ["encoding-type", "url"]])
s3("empty prefix", "list_objects_v2", {"Prefix": "", "EncodingType": "url"}, "/bucket",
   [["list-type", "2"], ["prefix", ""], ["encoding-type", "url"]])
s3("uploads without a value", "create_multipart_upload", {"Key": "a b"}, "/bucket/a b", [["uploads", ""]])
s3("part", "upload_part", {"Key": "k", "UploadId": "id+/=", "PartNumber": 7, "Body": b"\x00\xff"}, "/bucket/k",
   [["uploadId", "id+/="], ["partNumber", "7"]], b"\x00\xff")
s3("abort", "abort_multipart_upload", {"Key": "k", "UploadId": "id+/="}, "/bucket/k", [["uploadId", "id+/="]])
s3("ranged with a token", "get_object", {"Key": "k", "Range": "bytes=5-9", "IfMatch": '"etag"'}, "/bucket/k", [], token=TOKEN)
s3("delete on TLS", "delete_object", {"Key": "k"}, "/bucket/k", [], token=TOKEN, endpoint="https://s3.example:9000")
s3("unsigned payload", "upload_part", {"Key": "k", "UploadId": "u", "PartNumber": 1, "Body": b"sealed"}, "/bucket/k",
   [["uploadId", "u"], ["partNumber", "1"]], b"sealed", endpoint="https://s3.example", signed=False)

body = json.dumps({"KeyId": "alias/x", "CiphertextBlob": "AAEC"}).encode()
kms = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", "TrentService.Decrypt")]
plain("kms decrypt", "kms", "POST", "/", [], kms, body)
plain("kms decrypt with a token", "kms", "POST", "/", [], kms, body, token=TOKEN)
plain("double-escaped path", "execute-api", "GET", "/stage/a b/ü+=/c", [], [], b"")
plain("dot segments", "execute-api", "GET", "/stage/./a/../b//c/", [], [], b"")
plain("repeated and prefixed names", "execute-api", "GET", "/",
      [("b", "2"), ("b", "1"), ("a-b", "x"), ("a", "z"), ("a", ""), ("A", "é")], [], b"")
plain("blanks in header values", "execute-api", "GET", "/", [], [("X-Spaced", "  a   b \t c  "), ("User-Agent", "curl")], b"")

# 400 timestamps over the calendar, for the date arithmetic that has no library under it.
dates = [[s, datetime.datetime.fromtimestamp(s, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")]
         for s in list(range(0, 253402300799, 633505751)) + [951782399, 951782400, 951868800, 4107542399, 4107542400]]

out = pathlib.Path("Tests/Vectors/sigv4/botocore.json")
out.write_text(json.dumps({
    "madeBy": "scripts/golden-sigv4.py, botocore " + botocore.__version__, "accessKeyID": ACCESS, "secret": SECRET,
    "vectors": vectors, "dates": dates}, indent=1, ensure_ascii=True) + "\n")
print(len(vectors), "vectors,", hashlib.sha256(out.read_bytes()).hexdigest())
