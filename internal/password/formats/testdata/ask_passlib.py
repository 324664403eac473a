"""Says of each hash what Python's passlib says."""
import json, sys
from passlib.context import CryptContext

context = CryptContext(schemes=["argon2", "scrypt", "pbkdf2_sha256", "ldap_salted_sha512"])
json.dump([(context.verify(t["password"], t["encoded"]), context.verify(t["wrong"], t["encoded"])) for t in json.load(sys.stdin)], sys.stdout)
