"""The keys of the benchmark and the one certificate. They are made once per build directory and worth nothing.

Kept, because the tokens that they signed are kept too: twenty thousand RS256 signatures take ten seconds.
"""

import datetime
import json
import os
from types import SimpleNamespace

from .workspace import BUILD, stop_with

SECRET = "benchmark-key-benchmark-key-benchmark-key-benchmark-key"
HOST = "bench.test"
DIRECTORY = BUILD / "keys"


def rsa_key():
    """RSA with 2,048 bits, for RS256."""
    crypto = _cryptography()
    return _kept("rs256.pem", lambda: crypto.rsa.generate_private_key(65537, 2048))


def ec_key():
    """P-256, for ES256 and the certificate."""
    crypto = _cryptography()
    return _kept("es256.pem", lambda: crypto.ec.generate_private_key(crypto.ec.SECP256R1()))


def private_key(algorithm):
    return {"RS256": rsa_key, "ES256": ec_key}[algorithm]()


def public_pem(algorithm):
    """The path of the public key in PEM."""
    crypto = _cryptography()
    text = private_key(algorithm).public_key().public_bytes(
        crypto.serialization.Encoding.PEM, crypto.serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _write(f"{algorithm.lower()}.public.pem", text)


def jwks(algorithm):
    """The key as a JSON Web Key Set, in text."""
    import jwt.algorithms as algorithms  # PyJWT knows the form of each key

    if algorithm == "HS256":
        key = algorithms.HMACAlgorithm.to_jwk(SECRET)
    elif algorithm == "RS256":
        key = algorithms.RSAAlgorithm.to_jwk(rsa_key().public_key())
    else:
        key = algorithms.ECAlgorithm.to_jwk(ec_key().public_key())
    described = {name: value for name, value in json.loads(key).items() if name != "key_ops"}
    return json.dumps({"keys": [{**described, "alg": algorithm}]})


def certificate():
    """Paths of a self-signed P-256 certificate and of its key: what most public servers have today."""
    crypto = _cryptography()
    key = ec_key()
    name = crypto.x509.Name([crypto.x509.NameAttribute(crypto.x509.NameOID.COMMON_NAME, HOST)])
    begin = datetime.datetime(2024, 1, 1)
    made = (
        crypto.x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin.replace(year=2099))
        .add_extension(crypto.x509.SubjectAlternativeName([crypto.x509.DNSName(HOST)]), critical=False)
        .sign(key, crypto.hashes.SHA256())
    )
    return (
        _write("certificate.pem", made.public_bytes(crypto.serialization.Encoding.PEM)),
        _write("certificate.key", _private_bytes(key)),
    )


def _cryptography():
    """What is used of the package, imported when it is needed: the guards of costs do without it."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
    except ImportError:
        stop_with("the Python package cryptography is missing: scripts/bootstrap puts it into .venv")
    return SimpleNamespace(x509=x509, hashes=hashes, serialization=serialization, ec=ec, rsa=rsa)


def _private_bytes(key):
    form = _cryptography().serialization
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


def _kept(name, make):
    """The key that an earlier run kept, or a new one."""
    path = DIRECTORY / name
    if not path.exists():
        _write(name, _private_bytes(make()))
    return _cryptography().serialization.load_pem_private_key(path.read_bytes(), None)


def _write(name, content):
    """By rename, so that nobody reads half a file; for its owner only, as the gateway demands of keys."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / name
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(content)
    fresh.chmod(0o600)
    fresh.rename(path)
    return path
