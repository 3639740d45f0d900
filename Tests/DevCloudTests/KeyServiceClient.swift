/// The Python program of `KeyServiceServerTests`: prints a JSON object of scenarios and their outcomes. It speaks to the
/// security module by hand-written CBOR, so that nothing of ours is on its side.
let keyServiceClient = #"""
  import base64, configparser, http.client, json, socket, ssl, struct, subprocess, sys, tempfile, urllib.parse
  import botocore.auth, botocore.awsrequest, botocore.credentials, botocore.session
  from botocore.config import Config
  from botocore.exceptions import ClientError
  from cryptography.hazmat.primitives.asymmetric import rsa
  from cryptography.hazmat.primitives import serialization as s

  state, port = sys.argv[1], int(sys.argv[2])
  keys = json.load(open(state + "/keys.json"))
  profiles = configparser.ConfigParser()
  profiles.read(state + "/credentials")
  roots = state + "/kms-roots.pem"
  epoch = {"ephemeralml:use": "epoch", "ephemeralml:epoch": "1", "ephemeralml:policy-key": "00"}
  model = {"ephemeralml:use": "model", "ephemeralml:manifest": "00"}
  secret = rsa.generate_private_key(65537, 2048)
  spki = secret.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
  pkcs1 = secret.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.PKCS1)

  def text(value): return bytes([0x60 | len(value)]) + value.encode()
  def blob(value): return b"\x59" + struct.pack(">H", len(value)) + value

  def document(public_key):
    request = (b"\xa1" + text("Attestation") + b"\xa3" + text("user_data") + b"\xf6" + text("nonce") + b"\xf6"
               + text("public_key") + blob(public_key))
    with socket.socket(socket.AF_UNIX) as nsm:
      nsm.connect(state + "/nsm.sock")
      nsm.sendall(struct.pack(">I", len(request)) + request)
      stream = nsm.makefile("rb")
      answer = stream.read(struct.unpack(">I", stream.read(4))[0])
    head = b"\xa1" + text("Attestation") + b"\xa1" + text("document") + b"\x59"
    assert answer.startswith(head), answer[:60]
    return answer[len(head) + 2:]

  def recipient(public_key=spki, spoil=False):
    found = bytearray(document(public_key))
    if spoil: found[-9] ^= 4
    return {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": bytes(found)}

  def client(profile, key=None, id=None):
    session = botocore.session.Session()
    section = profiles[profile]
    session.set_credentials(id or section["aws_access_key_id"], key or section["aws_secret_access_key"])
    return session.create_client(
      "kms", region_name="us-east-1", endpoint_url=f"https://localhost:{port}", verify=roots,
      config=Config(retries={"total_max_attempts": 1}))

  def opened(envelope):
    with tempfile.NamedTemporaryFile(dir=state) as pem:
      pem.write(secret.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
      pem.flush()
      return subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-binary", "-inkey", pem.name],
                            input=envelope, capture_output=True, check=True).stdout

  def generate(**more):
    return client("host").generate_data_key(
      KeyId=keys["epoch_key"], KeySpec="AES_256", EncryptionContext=epoch, **more)

  def release():
    made = generate(Recipient=recipient())
    assert not made.get("Plaintext") and made["KeyId"] == keys["epoch_key"], made
    again = client("host").decrypt(
      KeyId=keys["epoch_key"], CiphertextBlob=made["CiphertextBlob"], EncryptionContext=epoch, Recipient=recipient())
    assert not again.get("Plaintext"), again
    first, second = opened(made["CiphertextForRecipient"]), opened(again["CiphertextForRecipient"])
    return "same key twice" if len(first) == 32 and first == second else "other keys"

  def published():
    made = client("publisher").generate_data_key(KeyId=keys["model_key"], KeySpec="AES_256", EncryptionContext=model)
    given = client("host").decrypt(
      CiphertextBlob=made["CiphertextBlob"], EncryptionContext=model, Recipient=recipient())
    return "publisher's key" if opened(given["CiphertextForRecipient"]) == made["Plaintext"] else "another key"

  def wrong_context():
    made = client("publisher").generate_data_key(KeyId=keys["model_key"], KeySpec="AES_256", EncryptionContext=model)
    client("host").decrypt(CiphertextBlob=made["CiphertextBlob"], Recipient=recipient(),
                           EncryptionContext={**model, "ephemeralml:manifest": "01"})

  def describe(**more): return client("owner", **more).describe_key(KeyId=keys["epoch_key"])["KeyMetadata"]["KeyState"]

  def tls(server="kms.us-east-1.amazonaws.com", highest=None):
    context = ssl.create_default_context(cafile=roots)
    if highest: context.maximum_version = highest
    plain = socket.socket(socket.AF_UNIX)
    plain.connect(state + "/kms.sock")
    return context.wrap_socket(plain, server_hostname=server)

  def over_unix(body):
    section = profiles["owner"]
    request = botocore.awsrequest.AWSRequest(
      "POST", "https://kms.us-east-1.amazonaws.com/", data=body,
      headers={"X-Amz-Target": "TrentService.DescribeKey", "Content-Type": "application/x-amz-json-1.1"})
    credentials = botocore.credentials.Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])
    botocore.auth.SigV4Auth(credentials, "kms", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("kms.us-east-1.amazonaws.com")
    connection.sock = tls()
    connection.request("POST", "/", body, dict(request.headers))
    return connection.getresponse()

  scenarios = {
    "release": release,
    "model": published,
    "without recipient": generate,
    "encrypt under the epoch key": lambda: client("publisher").encrypt(
      KeyId=keys["epoch_key"], Plaintext=b"x", EncryptionContext=epoch),
    "wrong context": wrong_context,
    "wrong secret": lambda: describe(key="wrong"),
    "unknown access key": lambda: describe(id="AKIANOBODY"),
    "broken document": lambda: generate(Recipient=recipient(spoil=True)),
    "PKCS#1 key": lambda: generate(Recipient=recipient(pkcs1)),
    "alias": lambda: client("owner").describe_key(KeyId="alias/epoch"),
    "describe": describe,
    "unix socket": lambda: json.load(
      over_unix(json.dumps({"KeyId": keys["epoch_key"]})))["KeyMetadata"]["KeyState"],
    "wrong server name": lambda: tls("kms.eu-west-1.amazonaws.com"),
    "TLS 1.2": lambda: tls(highest=ssl.TLSVersion.TLSv1_2),
    "too large": lambda: str(over_unix("x" * 70000).status),
  }
  outcomes = {}
  for name, scenario in scenarios.items():
    try: outcomes[name] = str(scenario())
    except ClientError as error: outcomes[name] = error.response["Error"]["Code"]
    except Exception as error: outcomes[name] = type(error).__name__
  print(json.dumps(outcomes))
  """#
