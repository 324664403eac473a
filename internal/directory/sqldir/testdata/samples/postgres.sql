CREATE ROLE sparekey LOGIN PASSWORD 'PASSWORD';
GRANT SELECT (id, email, first_name, is_active), UPDATE (password) ON auth_user TO sparekey;
CREATE INDEX auth_user_address ON auth_user (lower(email::text COLLATE "C"));
