package mariadbtest

import (
	"syscall"
	"testing"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Run("lives on", func(t *testing.T) {
		name := s.Database(t)
		s.Exec(t, name, "CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (1)")
		if err := s.Stop(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, name, "INSERT INTO users VALUES (2); DELETE FROM users WHERE id = 1")
	})
}
