// Package password holds the rules for new passwords and the hashing of those
// that Sparekey itself keeps.
//
//   - Policy says which passwords are acceptable: a matter of length, and of not
//     being the user's own name, well known, leaked or soon guessed; never of
//     composition. The folders blocklist and pwned know what was leaked.
//   - Hasher turns a password into an argon2id hash and checks one against a
//     hash, a bounded number at a time.
//   - Writer makes hashes as somebody else's application reads them (the folder
//     formats has the formats), within the bounds of a Hasher.
//   - CheckEncoded says whether a hash that was made elsewhere can be imported.
//
// No error or message of this package contains a password or a hash.
package password
