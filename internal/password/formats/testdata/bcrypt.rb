# Says of each hash what the gem bcrypt says, with which Rails' has_secure_password verifies.
require "json"
require "bcrypt"
puts JSON.generate(JSON.parse($stdin.read).map { |t| %w[password wrong].map { |p| BCrypt::Password.new(t["encoded"]) == t[p] } })
