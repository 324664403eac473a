package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
)

// The users whom docs/directories.md names: one who forgets, and one who is there for tests.
const (
	guidesAda  = "ada@example.com"
	guidesTest = "test@example.com"
)

// directoriesGuide is docs/directories.md: who follows which of its sections. What is in fences there is taken as it stands,
// but for what a reader replaces as well: hosts and ports, folders, the domain that all is below, and PASSWORD.
// Each follower says which texts those are.
var directoriesGuide = []struct {
	name     string
	sections []string
	follow   func(t *testing.T, g *guided)
}{
	{"SeveralAtOnce", []string{"Set one up"}, followSeveral},
	{"BuiltIn", []string{"Who is asked"}, followBuiltIn},
	{"PostgreSQL", []string{"PostgreSQL"}, followPostgreSQL},
	{"MariaDB", []string{"MySQL and MariaDB"}, followMariaDB},
	{"SQLite", []string{"SQLite"}, followSQLite},
	{"OpenLDAP", []string{"LDAP", "A service of its own in OpenLDAP"}, followOpenLDAP},
	{"ActiveDirectory", []string{"Active Directory"}, followActiveDirectory},
	{"Webhook", []string{"Webhook"}, followWebhook},
	{"ReferenceApplication", []string{"Try it with a reference application"}, followReferenceApplication},
}

// TestDirectoriesGuide follows docs/directories.md: each sample is the configuration file of the binary, which checks it,
// finds somebody, sets a test user's password and takes somebody through a whole reset, all with the real server after the
// preparation that the guide has. What is in a fence and is not used by anybody fails the test.
func TestDirectoriesGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/directories.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^##+ (.*)$`)
	sections := map[string]*guided{}
	places := heading.FindAllStringSubmatchIndex(string(text), -1)
	for i, at := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		s := &guided{text: string(text[at[1]:end])}
		if s.blocks = blocksOf(s.text); len(s.blocks) > 0 {
			sections[string(text[at[2]:at[3]])] = s
		}
	}
	for _, part := range directoriesGuide {
		g := &guided{}
		for _, title := range part.sections {
			s, ok := sections[title]
			if !ok {
				t.Fatalf("the guide has no section %q with anything to follow", title)
			}
			delete(sections, title)
			g.text, g.blocks = g.text+s.text, append(g.blocks, s.blocks...)
		}
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.follow(t, g)
			for _, b := range g.blocks {
				t.Errorf("nobody has used this:\n%s", b.text)
			}
		})
	}
	for title, s := range sections {
		t.Errorf("nobody follows %q:\n%v", title, s.blocks)
	}
}

// guided is a part of the guide: its text, and what of its blocks was not used yet.
type guided struct {
	text   string
	blocks []block
}

// take answers the first block of that language that was not used yet.
func (g *guided) take(t *testing.T, language string) string {
	t.Helper()
	i := slices.IndexFunc(g.blocks, func(b block) bool { return b.language == language })
	if i < 0 {
		t.Fatalf("there is no block of %s left", language)
	}
	text := g.blocks[i].text
	g.blocks = slices.Delete(g.blocks, i, i+1)
	return text
}

// reader follows the guide with a service of their own.
type reader struct {
	*world
	dir  string // instead of /etc/sparekey; where commands are run, too
	here *strings.Replacer
}

// newReader has a service that is not set up, in whose place the guide's words are replaced: pairs of what is there and what is here.
func newReader(t *testing.T, replaced ...string) *reader {
	t.Helper()
	r := &reader{world: newWorld(t, 1), dir: t.TempDir()}
	r.here = strings.NewReplacer(append(replaced, "/etc/sparekey/", r.dir+"/")...)
	if err := os.Symlink(binary, filepath.Join(r.dir, "sparekey")); err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "PATH="+r.dir+":"+os.Getenv("PATH"), "SPAREKEY_CONFIG="+filepath.Join(r.dir, "sparekey.yaml"))
	r.write(t, "password", password+"\n")
	return r
}

// write makes a file in the folder.
func (r *reader) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the service in the folder, which is where relative paths begin.
func (r *reader) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(binary, "serve")
	cmd.Dir, cmd.Env = r.dir, r.env
	r.server = startCommand(t, cmd)
	r.becomesReady(t)
}

// configure makes a sample the configuration file.
func (r *reader) configure(t *testing.T, sample string) {
	t.Helper()
	r.write(t, "sparekey.yaml", r.here.Replace(sample))
}

// sh runs commands as the guide has them, and answers what they print.
func (r *reader) sh(t *testing.T, commands string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail\n"+r.here.Replace(commands))
	cmd.Dir, cmd.Env = r.dir, r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nof\n%s", err, out, commands)
	}
	return string(out)
}

// walk goes through a directory as the guide tells: it is checked, somebody is found, and a test user's password is set;
// then somebody resets. holds tells whether the application would let somebody in.
func (r *reader) walk(t *testing.T, name string, holds func(email, password string) bool) {
	t.Helper()
	check := "sparekey directory check " + name + " --address "
	said := r.sh(t, check+guidesAda)
	if !strings.Contains(said, "found "+guidesAda) || !strings.Contains(said, "would: ") {
		t.Errorf("the check says\n%s", said)
	}
	if holds(guidesAda, password) || holds(guidesTest, password) {
		t.Error("a check has changed a password")
	}
	said = r.sh(t, check+guidesTest+" --set-test-user < password")
	if !holds(guidesTest, password) || holds(guidesAda, password) || strings.Contains(said, password) {
		t.Errorf("the test user's password was not set, or is told:\n%s", said)
	}
	if trail := r.sh(t, "sparekey audit tail"); !strings.Contains(trail, `{"directory":"`+name+`","user":"`+name+`.`) {
		t.Errorf("the audit trail has nothing of it:\n%s", trail)
	}
	r.start(t)
	r.resets(t, guidesAda)
	if !holds(guidesAda, password) {
		t.Error("the password does not hold after a reset")
	}
}

// resets takes somebody through a whole reset.
func (r *reader) resets(t *testing.T, email string) {
	t.Helper()
	r.ask(t, email)
	r.answered(t, r.newest(t, email, 0), http.StatusOK, "")
}

// ends closes what a test has started.
func ends(t *testing.T, closed func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := closed(); err != nil {
			t.Error(err)
		}
	})
}

// followBuiltIn: the built-in directory is asked for its own domains alone.
func followBuiltIn(t *testing.T, g *guided) {
	r := newReader(t)
	r.configure(t, g.take(t, "yaml"))
	if list := r.sh(t, "sparekey directory list"); !regexp.MustCompile(`(?m)^builtin +builtin +example\.org +`).MatchString(list) {
		t.Errorf("the list is\n%s", list)
	}
	must(t, r.env, "", "user", "add", "ada@example.org")
	must(t, r.env, "", "user", "add", guidesAda)
	r.start(t)
	r.ask(t, guidesAda)
	r.resets(t, "ada@example.org")
	must(t, r.env, password, "user", "verify", "ada@example.org", "--password-stdin")
	r.settled(t)
	if n := len(r.links(t)[guidesAda]); n != 0 {
		t.Errorf("%d links went to an address of another domain", n)
	}
}

// followSeveral: a person who is in a database and in LDAP has one link for both.
func followSeveral(t *testing.T, g *guided) {
	const (
		both = "ada@corp.example.com"
		unit = "ou=people," + slapdtest.Base
	)
	// The database and its user are this test's own in the cluster that all share.
	cluster.Exec(t, "postgres", "CREATE DATABASE crm")
	cluster.Exec(t, "postgres", inSQL("CREATE ROLE sparekey LOGIN PASSWORD 'PASSWORD'"))
	t.Cleanup(func() {
		cluster.Exec(t, "postgres", "DROP DATABASE crm WITH (FORCE)")
		cluster.Exec(t, "postgres", "DROP ROLE sparekey")
	})
	db := applicationsDB(t, "pgx", cluster.URL("crm"),
		"CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE NOT NULL, password text NOT NULL DEFAULT '')",
		"INSERT INTO users (email) VALUES ('"+guidesAda+"'), ('"+guidesTest+"'), ('"+both+"')",
		"GRANT SELECT (id, email), UPDATE (password) ON users TO sparekey")
	inCRM := func(email, password string) bool {
		return argonHolds(t, one(t, db, "SELECT password FROM users WHERE email = $1", email), password)
	}

	server := slapdtest.New(t, slapdtest.Options{Names: []string{"127.0.0.1", "localhost"}})
	root := server.Root(t)
	service := "cn=sparekey," + slapdtest.Services
	slapdtest.Add(t, root, service, "objectClass", "organizationalRole", "objectClass", "simpleSecurityObject", "userPassword", rolePassword)
	server.Allow(t, service, true)
	slapdtest.Add(t, root, unit, "objectClass", "organizationalUnit")
	dn := addPerson(t, root, unit, both)

	r := newReader(t, append(slapdHere(t, server), "db.example.com", fmt.Sprintf("127.0.0.1:%d", cluster.Port))...)
	r.write(t, "crm-password", rolePassword+"\n")
	r.write(t, "corp-password", rolePassword+"\n")
	r.write(t, "authorities.pem", authorities(t, server.AuthorityFile()))
	r.env = append(r.env, "SSL_CERT_FILE="+filepath.Join(r.dir, "authorities.pem")) // without ca_file the system's are believed
	r.configure(t, g.take(t, "yaml"))

	said := r.sh(t, g.take(t, "sh"))
	for _, words := range []string{"directories.corp.bind.dn", "\ncorp ", "corp.example.com", "Example Corp", "found " + guidesAda, "would: "} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q:\n%s", words, said)
		}
	}
	if r.sh(t, g.take(t, "sh")); !inCRM(guidesTest, password) || inCRM(guidesAda, password) {
		t.Error("the test user's password was not set, or another was")
	}
	if said := r.sh(t, "sparekey directory check corp --address "+both); !strings.Contains(said, "found "+both) {
		t.Errorf("the check says\n%s", said)
	}
	r.start(t)
	r.resets(t, guidesAda)
	r.resets(t, both)
	if !inCRM(guidesAda, password) || !inCRM(both, password) || !server.Binds(t, dn, password) {
		t.Error("a password does not hold after a reset")
	}
}
