#!/usr/bin/env python3
"""Writes Tests/Vectors/attestation: documents in the real one's form, made by other hands than the product's.

The chain is made by `cryptography`, the ES384 signature by pycose, the indefinite-length payload by cbor2. They stand in
where the real document is missing. Run with .cache/venv-pycose/bin/python; the keys are thrown away.
"""
import datetime
import pathlib

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pycose.algorithms import Es384
from pycose.headers import Algorithm
from pycose.keys import EC2Key
from pycose.keys.curves import P384
from pycose.messages import Sign1Message

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Vectors" / "attestation"
TIME = datetime.datetime(2026, 5, 28, 20, 26, 40, tzinfo=datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)
# Name, path length (None: no authority), hours of life; what AWS gives its own.
LEVELS = [("root", 3, 262_800), ("regional", 2, 480), ("zonal", 1, 144), ("instance", 0, 24), ("leaf", None, 3)]


def usage(**on):
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{text}.test.invalid")])


def chain():
    key = ec.generate_private_key(ec.SECP384R1())
    issuer, issuer_key, certificates = "root", key, []
    for level, length, hours in LEVELS:
        authority = length is not None
        certificate = (
            x509.CertificateBuilder().subject_name(name(level)).issuer_name(name(issuer)).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(TIME - HOUR)
            .not_valid_after(TIME - HOUR + hours * HOUR)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=length), critical=True)
            .add_extension(
                usage(key_cert_sign=True, crl_sign=True, digital_signature=True) if authority
                else usage(digital_signature=True, content_commitment=True), critical=authority)
            .sign(issuer_key, hashes.SHA384()))
        certificates.append(certificate)
        issuer, issuer_key, key = level, key, ec.generate_private_key(ec.SECP384R1())
    return certificates, issuer_key


def payload(fields):
    """A map of indefinite length, as the security module writes it since 2025."""
    return b"\xbf" + b"".join(cbor2.dumps(key) + cbor2.dumps(value) for key, value in fields.items()) + b"\xff"


def sign(fields, key):
    numbers = key.private_numbers()
    message = Sign1Message(phdr={Algorithm: Es384}, payload=payload(fields))
    message.key = EC2Key(
        crv=P384, d=numbers.private_value.to_bytes(48, "big"), x=numbers.public_numbers.x.to_bytes(48, "big"),
        y=numbers.public_numbers.y.to_bytes(48, "big"))
    return message.encode(tag=False)


def main():
    certificates, key = chain()
    der = [certificate.public_bytes(Encoding.DER) for certificate in certificates]
    pcrs = {index: bytes([index + 1]) * 48 if index < 3 else bytes(48) for index in range(16)}
    fields = {
        "module_id": "i-00000000000000000-enc0000000000000000", "digest": "SHA384",
        "timestamp": int(TIME.timestamp() * 1000), "pcrs": pcrs, "certificate": der[-1], "cabundle": der[:-1],
        "public_key": None, "user_data": b"golden", "nonce": None,
    }
    debug = {**fields, "pcrs": {index: bytes(48) for index in range(16)}}
    tpm = {("nitrotpm_pcrs" if field == "pcrs" else field): value for field, value in fields.items()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "root.pem").write_bytes(certificates[0].public_bytes(Encoding.PEM))
    for file, document in [("accepted", fields), ("debug-mode", debug), ("nitrotpm", tpm)]:
        (FOLDER / f"{file}.cose").write_bytes(sign(document, key))


if __name__ == "__main__":
    main()
