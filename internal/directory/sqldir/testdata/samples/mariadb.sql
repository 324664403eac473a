CREATE USER sparekey IDENTIFIED BY 'PASSWORD';
GRANT SELECT (id, email, name), UPDATE (password, updated_at) ON shop.users TO sparekey;
GRANT SELECT (user_id), DELETE ON shop.sessions TO sparekey;
