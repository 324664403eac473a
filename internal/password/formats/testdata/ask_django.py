"""Says of each hash what Django says: is it the password's, is the other one refused, is its salt one that Django would leave alone."""
import json, sys
from django.conf import settings

settings.configure(PASSWORD_HASHERS=[
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
])
from django.contrib.auth.hashers import check_password, identify_hasher, must_update_salt

def verdict(t):
    hasher = identify_hasher(t["encoded"])
    lasting = not must_update_salt(hasher.decode(t["encoded"])["salt"], hasher.salt_entropy)
    return lasting and check_password(t["password"], t["encoded"]), check_password(t["wrong"], t["encoded"])

json.dump([verdict(t) for t in json.load(sys.stdin)], sys.stdout)
