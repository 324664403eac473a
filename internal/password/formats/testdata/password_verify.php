<?php // Says of each hash what PHP's password_verify says.
$verdict = fn ($t) => [password_verify($t->password, $t->encoded), password_verify($t->wrong, $t->encoded)];
echo json_encode(array_map($verdict, json_decode(file_get_contents('php://stdin'), flags: JSON_THROW_ON_ERROR)));
