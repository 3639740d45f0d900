#!/usr/bin/env python3
"""Makes Tests/Vectors/sigv4/botocore.json and kms.json: requests as botocore itself serialises and signs them, and where
botocore sends KMS's in every partition.

Needs botocore (`make test-tools` has it in .cache/venv-moto, or `python3 -m pip install botocore==1.44.5`). Nothing is
sent: every request is caught just before it would leave. Run from the repository root:
.cache/venv-moto/bin/python scripts/golden-sigv4.py
"""
import base64
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


def client(service, region, token, endpoint, signed, style="path", fips=False):
    session = botocore.session.Session()
    session.set_credentials(ACCESS, SECRET, token)
    return session.create_client(
        service, region_name=region, endpoint_url=endpoint,
        config=botocore.config.Config(
            s3={"addressing_style": style, "payload_signing_enabled": signed}, use_fips_endpoint=fips,
            request_checksum_calculation="when_required", retries={"total_max_attempts": 1}))


def s3(name, operation, arguments, raw_path, query, body=b"", token=None, endpoint="http://127.0.0.1:5000",
       signed=True, style="path"):
    caught = []
    s3_client = client("s3", "eu-central-1", token, endpoint, signed, style)

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

SHA = base64.b64encode(hashlib.sha256(b"sealed").digest()).decode()
for key in ["/leading", "a//b///c", "blank and+plus=equals&amp", "übung/é/日本.age", "%41%zz", "~._-", " ", "+"]:
    s3(f"checksummed put {key}", "put_object",
       {"Key": key, "Body": b"sealed", "ChecksumSHA256": SHA, "IfNoneMatch": "*",
        "Metadata": {"ephemeralml-write": "0f" * 16}}, f"/bucket/{key}", [], b"sealed", token=TOKEN)
    s3(f"virtual host get {key}", "get_object", {"Key": key}, f"/{key}", [], token=TOKEN, endpoint=None, style="virtual")
s3("conditional range", "get_object", {"Key": "a b", "Range": "bytes=0-", "IfMatch": '"e,tag"', "IfNoneMatch": '"x"'},
   "/bucket/a b", [])
s3("only if it changed", "head_object", {"Key": "k", "IfModifiedSince": WHEN, "IfUnmodifiedSince": WHEN}, "/bucket/k", [])
s3("conditional completion", "complete_multipart_upload",
   {"Key": "k", "UploadId": "id+/= &", "IfNoneMatch": "*", "MultipartUpload": {"Parts": []}}, "/bucket/k",
   [["uploadId", "id+/= &"]], b'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/" />')
s3("sub-resource without a value", "get_object_acl", {"Key": "a+b"}, "/bucket/a+b", [["acl", ""]])
s3("empty version", "list_object_versions", {"KeyMarker": "", "Prefix": "", "EncodingType": "url"}, "/bucket",
   [["versions", ""], ["key-marker", ""], ["prefix", ""], ["encoding-type", "url"]])
s3("unsigned payload with a token", "put_object", {"Key": "ü +=", "Body": b"sealed"}, "/bucket/ü +=", [], b"sealed",
   token=TOKEN, endpoint="https://s3.example", signed=False)
s3("no body at all", "put_object", {"Key": "empty", "Body": b""}, "/bucket/empty", [], b"")

body = json.dumps({"KeyId": "alias/x", "CiphertextBlob": "AAEC"}).encode()
kms = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", "TrentService.Decrypt")]
plain("kms decrypt", "kms", "POST", "/", [], kms, body)
plain("kms decrypt with a token", "kms", "POST", "/", [], kms, body, token=TOKEN)
plain("double-escaped path", "execute-api", "GET", "/stage/a b/ü+=/c", [], [], b"")
plain("dot segments", "execute-api", "GET", "/stage/./a/../b//c/", [], [], b"")
plain("repeated and prefixed names", "execute-api", "GET", "/",
      [("b", "2"), ("b", "1"), ("a-b", "x"), ("a", "z"), ("a", ""), ("A", "é")], [], b"")
plain("blanks in header values", "execute-api", "GET", "/", [], [("X-Spaced", "  a   b \t c  "), ("User-Agent", "curl")], b"")

# KMS exactly as the worker sends it: this body, these headers, this host; checked against what botocore's own KMS client
# would send, and signed by botocore's signer.
POLICY_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
CONTEXTS = {
    "epoch": {"ephemeralml:use": "epoch", "ephemeralml:epoch": "7", "ephemeralml:policy-key": POLICY_KEY},
    "model": {"ephemeralml:use": "model", "ephemeralml:manifest": "ab" * 32},
}
kms_requests = []


def worker(region, partition, fips, operation, use, token):
    arn = f"arn:{partition}:kms:{region}:111122223333:key/12345678-1234-1234-1234-123456789012"
    document, blob = bytes(range(256)), bytes(reversed(range(184)))
    arguments = {"KeyId": arn, "EncryptionContext": CONTEXTS[use], "Recipient": {
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document}}
    method = {"GenerateDataKey": "generate_data_key", "Decrypt": "decrypt"}[operation]
    arguments |= {"KeySpec": "AES_256"} if operation == "GenerateDataKey" else {"CiphertextBlob": blob}
    caught = []
    kms_client = client("kms", region, token, None, True, fips=fips)

    def catch(request, **_):
        caught.append(request)
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, type("Raw", (), {
            "stream": lambda self, *a, **k: iter([b"{}"]), "read": lambda self, *a, **k: b""})())

    kms_client.meta.events.register("before-send.kms", catch)
    getattr(kms_client, method)(**arguments)
    theirs = caught[0]
    meant = json.loads(theirs.body)
    ours = json.dumps(meant, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header = lambda v: v.decode() if isinstance(v, bytes) else str(v)
    headers = [["Content-Type", header(theirs.headers["Content-Type"])],
               ["X-Amz-Target", header(theirs.headers["X-Amz-Target"])]]
    request = botocore.awsrequest.AWSRequest(method=theirs.method, url=theirs.url, data=ours, headers=dict(headers))
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(ACCESS, SECRET, token), "kms", region).add_auth(request)
    kms_requests.append({
        "operation": operation, "arn": arn, "fips": fips, "use": use, "token": token, "seconds": int(WHEN.timestamp()),
        "document": document.hex(), "blob": blob.hex(),
        "expect": {"host": urllib.parse.urlsplit(theirs.url).netloc, "path": urllib.parse.urlsplit(theirs.url).path,
                   "headers": headers, "body": ours.decode(), "authorization": request.headers["Authorization"]}})


for region, partition in [("us-east-1", "aws"), ("eu-west-1", "aws"), ("us-gov-west-1", "aws-us-gov"),
                          ("cn-north-1", "aws-cn")]:
    for fips in (False, True):
        for operation, use in [("GenerateDataKey", "epoch"), ("Decrypt", "epoch"), ("Decrypt", "model")]:
            worker(region, partition, fips, operation, use, TOKEN)
worker("us-east-1", "aws", False, "GenerateDataKey", "epoch", None)

# Where botocore finds KMS, for every partition and region that it knows.
endpoints = []
for partition in botocore.session.Session().get_available_partitions():
    for region in botocore.session.Session().get_available_regions("kms", partition):
        host = lambda fips: urllib.parse.urlsplit(client("kms", region, None, None, True, fips=fips).meta.endpoint_url).netloc
        endpoints.append({"partition": partition, "region": region, "standard": host(False), "fips": host(True)})

pathlib.Path("Tests/Vectors/sigv4/kms.json").write_text(json.dumps({
    "madeBy": "scripts/golden-sigv4.py, botocore " + botocore.__version__, "accessKeyID": ACCESS, "secret": SECRET,
    "policyKey": POLICY_KEY, "requests": kms_requests, "endpoints": endpoints}, indent=1, ensure_ascii=True) + "\n")
print(len(kms_requests), "requests of KMS,", len(endpoints), "endpoints")

# 400 timestamps over the calendar, for the date arithmetic that has no library under it.
dates = [[s, datetime.datetime.fromtimestamp(s, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")]
         for s in list(range(0, 253402300799, 633505751)) + [951782399, 951782400, 951868800, 4107542399, 4107542400]]

out = pathlib.Path("Tests/Vectors/sigv4/botocore.json")
out.write_text(json.dumps({
    "madeBy": "scripts/golden-sigv4.py, botocore " + botocore.__version__, "accessKeyID": ACCESS, "secret": SECRET,
    "vectors": vectors, "dates": dates}, indent=1, ensure_ascii=True) + "\n")
print(len(vectors), "vectors,", hashlib.sha256(out.read_bytes()).hexdigest())
