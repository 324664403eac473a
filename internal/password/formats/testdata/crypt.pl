# Says of each hash what the system's crypt(3) says: Debian's libcrypt, which pam_unix uses.
use strict; use warnings; use JSON::PP; use Encode qw(encode_utf8);
sub holds { my ($password, $encoded) = @_; (crypt(encode_utf8($password), $encoded) // "") eq $encoded ? \1 : \0 }
local $/;
print encode_json([map { [holds($_->{password}, $_->{encoded}), holds($_->{wrong}, $_->{encoded})] } @{decode_json(<STDIN>)}]);
