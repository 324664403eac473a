package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// jailEnv holds, in the environment of a test binary that becomes the service, what to do before.
const jailEnv = "E2E_JAIL"

// nobody is the user of deploy/Dockerfile, who owns nothing.
const nobody = 65532

// jail is how the service runs under deploy/sparekey.service and in
// deploy/Dockerfile: in a root with nothing in it, which nobody can write, with one
// folder to write into, as a user without rights, and with no other system calls
// than those allowed.
type jail struct {
	Root    string
	Data    string // becomes /data, writable
	Secrets string // becomes /secrets, readable
	Args    []string
	Env     []string
	// Calls are the numbers of the system calls that are allowed; any other kills the process.
	Calls []uint32
	// Families are those that sockets may be of.
	Families []uint32
	// Become says that there is a user to become: without root there is only oneself.
	Become bool
}

// newJail makes a root with the binary and the certificates of authorities, and nothing else.
func newJail(t *testing.T) *jail {
	t.Helper()
	dir := t.TempDir()
	j := &jail{
		Root: filepath.Join(dir, "root"), Data: filepath.Join(dir, "data"), Secrets: filepath.Join(dir, "secrets"),
		Become: os.Geteuid() == 0,
	}
	for _, folder := range []string{j.Root, j.Data, j.Secrets, filepath.Join(j.Root, "data"), filepath.Join(j.Root, "secrets")} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(j.Root, "sparekey"), program, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(j.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if j.Become {
		if err := os.Chown(j.Data, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) { // nobody has to get there
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return j
}

// command is the service in the jail.
func (j *jail) command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	in := *j
	in.Args, in.Env = append([]string{"/sparekey"}, args...), env
	spec, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = []string{jailEnv + "=" + string(spec)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if !j.Become { // nobody is oneself, in a namespace where that is allowed to mount
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT}
	}
	return cmd
}

// enterJail makes this process the service in a jail; it returns only if it fails.
func enterJail(spec string) error {
	var j jail
	if err := json.Unmarshal([]byte(spec), &j); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := j.mount(); err != nil {
		return err
	}
	if err := errors.Join(syscall.Chroot(j.Root), os.Chdir("/data")); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if j.Become {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(nobody, nobody, nobody), syscall.Setresuid(nobody, nobody, nobody)); err != nil {
			return fmt.Errorf("become nobody: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("give up rights: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	// MemoryDenyWriteExecute; kernels before 6.3 do not know it.
	if err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("no writable code: %w", err)
	}
	if err := filter(j.Calls, j.Families); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return syscall.Exec(j.Args[0], j.Args, j.Env)
}

// mount makes the root read-only, and what is in it that is not the root's.
func (j *jail) mount() error {
	const private, bind = unix.MS_REC | unix.MS_PRIVATE, unix.MS_BIND | unix.MS_REC
	var errs []error
	do := func(from, to string, flags uintptr) {
		if err := unix.Mount(from, to, "", flags, ""); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", to, err))
		}
	}
	data, secrets := filepath.Join(j.Root, "data"), filepath.Join(j.Root, "secrets")
	do("", "/", private)
	do(j.Root, j.Root, bind)
	do(j.Data, data, bind)
	do(j.Secrets, secrets, bind)
	for _, place := range []string{j.Root, secrets} {
		do("", place, unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV)
	}
	return errors.Join(errs...)
}

// architectures are as seccomp calls them.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// filter allows these system calls and sockets of these families; any other call kills the process.
func filter(calls, families []uint32) error {
	const (
		load, equal, ret   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
		number, arch, arg0 = 0, 4, 16 // where they are in struct seccomp_data
	)
	program := []unix.SockFilter{
		{Code: load, K: arch},
		{Code: equal, K: architectures[runtime.GOARCH], Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: number},
	}
	for _, call := range calls {
		if call == unix.SYS_SOCKET {
			continue
		}
		program = append(program, unix.SockFilter{Code: equal, K: call, Jf: 1}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	}
	program = append(program,
		unix.SockFilter{Code: equal, K: unix.SYS_SOCKET, Jt: 1},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		unix.SockFilter{Code: load, K: arg0})
	for _, family := range families {
		program = append(program, unix.SockFilter{Code: equal, K: family, Jf: 1}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	}
	program = append(program, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, 1 /* SECCOMP_SET_MODE_FILTER */, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// directives are the values of a directive in a unit, in the order of the file.
func directives(t *testing.T, unit, name string) (values []string) {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		t.Fatalf("%s has no %s", unit, name)
	}
	return values
}

// allowedCalls are the numbers of the system calls that a unit allows.
func allowedCalls(t *testing.T, unit string) []uint32 {
	t.Helper()
	allowed := map[string]bool{}
	for call := range members(t, "@default") { // of an allow-list they are always part
		allowed[call] = true
	}
	for _, line := range directives(t, unit, "SystemCallFilter") {
		words, deny := strings.CutPrefix(line, "~")
		for _, word := range strings.Fields(words) {
			for call := range members(t, word) {
				allowed[call] = !deny
			}
		}
	}
	known := numbers(t)
	var calls []uint32
	for call, yes := range allowed {
		if n, here := known[call]; yes && here { // others are of other architectures
			calls = append(calls, n)
		}
	}
	if len(calls) < 100 {
		t.Fatalf("only %d system calls are allowed: has the form of systemd-analyze's answer changed?", len(calls))
	}
	slices.Sort(calls)
	return calls
}

// members are the system calls in one of systemd's sets, or the one call that is named.
func members(t *testing.T, name string) map[string]bool {
	t.Helper()
	calls := map[string]bool{}
	if !strings.HasPrefix(name, "@") {
		calls[name] = true
		return calls
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "syscall-filter", name).Output()
	if err != nil {
		t.Fatalf("systemd-analyze, of Debian's package systemd: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if word := strings.TrimSpace(line); word != "" && word != name && !strings.HasPrefix(word, "#") {
			for call := range members(t, word) {
				calls[call] = true
			}
		}
	}
	return calls
}

// numbers are those of all system calls here, as golang.org/x/sys lists them.
func numbers(t *testing.T) map[string]uint32 {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+runtime.GOARCH+".go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]uint32{}
	for _, m := range regexp.MustCompile(`(?m)^\tSYS_([A-Z0-9_]+)\s+= (\d+)$`).FindAllStringSubmatch(string(source), -1) {
		var n uint32
		if _, err := fmt.Sscan(m[2], &n); err != nil {
			t.Fatal(err)
		}
		found[strings.ToLower(m[1])] = n
	}
	return found
}
