package formats_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/sparekey/sparekey/internal/password/formats"
)

// try is what a consumer is asked: it should take the password, and refuse the wrong one.
type try struct {
	Encoded  string `json:"encoded"`
	Password string `json:"password"`
	Wrong    string `json:"wrong"`
}

// tries are hashes of a format that are cheap, and, if usual, one as an operator gets it who sets nothing.
func tries(t *testing.T, name string, usual bool) (list []try) {
	t.Helper()
	if usual {
		f, err := formats.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, try{encode(t, f, "correct horse battery staple"), "correct horse battery staple", "correct horse battery stapl"})
	}
	cheap := formats.Weak(name)
	longest := cheap.MaxBytes()
	if longest == 0 {
		longest = 4096
	}
	list = append(list,
		try{encode(t, cheap, " e\u0301té à Zürich, ночь 🕊 "), " e\u0301té à Zürich, ночь 🕊 ", " été à Zürich, ночь 🕊 "}, // nothing is normalised
		try{encode(t, cheap, `'"$1\ %s{}`), `'"$1\ %s{}`, `'"$1\ %s{} `},
	)
	// The last byte counts: nothing is cut.
	long := strings.Repeat("0123456789abcdef", longest/16+1)[:longest]
	return append(list, try{encode(t, cheap, long), long, long[:longest-1] + "!"})
}

func encode(t *testing.T, f formats.Format, password string) string {
	t.Helper()
	encoded, err := f.Encode(password)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// consumers are programs that read hashes: which of the formats, and how to ask.
var consumers = []struct {
	name    string
	formats []string
	command []string
}{
	{"Django", []string{"django-pbkdf2-sha256", "django-argon2"}, []string{"/usr/bin/python3", "testdata/ask_django.py"}},
	{"passlib", []string{"argon2id", "scrypt", "passlib-pbkdf2-sha256", "ssha512"}, []string{"/usr/bin/python3", "testdata/ask_passlib.py"}},
	{"PHP", []string{"bcrypt-2y", "bcrypt", "bcrypt-2a", "argon2id", "sha512-crypt"}, []string{"php", "testdata/password_verify.php"}},
	{"Rails' bcrypt", []string{"bcrypt-2a", "bcrypt", "bcrypt-2y"}, []string{"ruby", "testdata/bcrypt.rb"}},
	{"Node's bcrypt", []string{"bcrypt", "bcrypt-2a"}, []string{"node", "testdata/npm/verify.js", "bcrypt"}},
	{"Node's bcryptjs", []string{"bcrypt", "bcrypt-2a", "bcrypt-2y"}, []string{"node", "testdata/npm/verify.js", "bcryptjs"}},
	{"Node's @phc/pbkdf2", []string{"pbkdf2-sha256"}, []string{"node", "testdata/npm/verify.js", "@phc/pbkdf2"}},
	{"libcrypt", []string{"yescrypt", "sha512-crypt", "bcrypt", "bcrypt-2a", "bcrypt-2y"}, []string{"perl", "testdata/crypt.pl"}},
}

// Consumers verify what each format writes, each in one process for all of them.
func TestConsumers(t *testing.T) {
	t.Parallel()
	for _, consumer := range consumers {
		t.Run(consumer.name, func(t *testing.T) {
			t.Parallel()
			var all []try
			var of []string
			for _, name := range consumer.formats {
				// The slow ones once for each, where somebody reads the format who is made for it.
				usual := name == consumer.formats[0] || !strings.HasPrefix(name, "bcrypt")
				for _, one := range tries(t, name, usual) {
					all, of = append(all, one), append(of, name)
				}
			}
			for i, v := range ask(t, all, consumer.command...) {
				if !v[0] || v[1] {
					t.Errorf("%s, %.40q: the password is taken: %v, a wrong one: %v", of[i], all[i].Password, v[0], v[1])
				}
			}
		})
	}
}

// ask runs a consumer; it answers for each try whether it takes the password, and whether the wrong one.
func ask(t *testing.T, all []try, command ...string) (verdicts [][2]bool) {
	t.Helper()
	input, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v; script/setup installs it\n%s", command, err, complaints.String())
	}
	if err := json.Unmarshal(out, &verdicts); err != nil || len(verdicts) != len(all) {
		t.Fatalf("%v answered %v for %d hashes: %v\n%s", command, verdicts, len(all), err, complaints.String())
	}
	return verdicts
}

// pgcrypto reads $2a$ alone, and applications compare in SQL.
func TestPgcrypto(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), cluster.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `CREATE EXTENSION pgcrypto`); err != nil {
		t.Fatal(err)
	}
	for _, one := range tries(t, "bcrypt-2a", false) {
		var right, wrong bool
		err := conn.QueryRow(t.Context(), `SELECT crypt($1, $3) = $3, crypt($2, $3) = $3`, one.Password, one.Wrong, one.Encoded).Scan(&right, &wrong)
		if err != nil || !right || wrong {
			t.Errorf("%.40q: the password is taken: %v, a wrong one: %v (%v)", one.Password, right, wrong, err)
		}
	}
}

// Spring Security cannot be installed here. Its reference manual has a hash of
// "password" (Password Storage, "DelegatingPasswordEncoder Encoded Passwords Example"), and its
// BCryptPasswordEncoder takes what this expression matches.
func TestSpring(t *testing.T) {
	t.Parallel()
	const published = "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"
	form := regexp.MustCompile(`^\{bcrypt\}\$2(a|y|b)?\$(\d\d)\$[./0-9A-Za-z]{53}$`)
	all := append(tries(t, "spring-bcrypt", true), try{published, "password", "Password"})
	for _, one := range all {
		if !form.MatchString(one.Encoded) {
			t.Errorf("%q does not have the form", one.Encoded)
		}
		hash := []byte(strings.TrimPrefix(one.Encoded, "{bcrypt}"))
		if err := bcrypt.CompareHashAndPassword(hash, []byte(one.Password)); err != nil {
			t.Errorf("%.40q is not taken: %v", one.Password, err)
		}
		if bcrypt.CompareHashAndPassword(hash, []byte(one.Wrong)) == nil {
			t.Errorf("%.40q is taken", one.Wrong)
		}
	}
}

// Every format is read by somebody above.
func TestEveryFormatHasAConsumer(t *testing.T) {
	t.Parallel()
	read := map[string]bool{"spring-bcrypt": true} // by its published vector
	for _, consumer := range consumers {
		for _, name := range consumer.formats {
			read[name] = true
		}
	}
	for _, name := range formats.Names() {
		if !read[name] {
			t.Errorf("nobody reads %s in these tests", name)
		}
	}
}
