package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The sandbox of an ordinary user is in a user namespace in which he is root. Behind
// him it has the users and groups that /etc/subuid and /etc/subgid give him, if
// newuidmap and newgidmap are there to map them; otherwise he is the only one.

// inner is a command of this program for a process of the cluster in the folder. In
// a user namespace it waits until it is somebody there.
func (sp spec) inner(what string, s state) *exec.Cmd {
	arguments := []string{"cluster", what, string(s)}
	if sp.Rootless {
		arguments = []string{"cluster", "mapped", what, string(s)}
	}
	return exec.Command(sp.Executable, arguments...) //nolint:noctx // bound to no context: clusters outlive commands
}

const areMapped = "mapped"

// RunMapped becomes another command of this program once the process that started
// it says that the users of its user namespace are mapped: a program that is started
// before that is nobody, and without rights.
func RunMapped(arguments []string) error {
	said, err := io.ReadAll(os.Stdin)
	if err != nil || string(said) != areMapped {
		return errors.Join(errors.New("nobody was mapped into the user namespace"), err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(self, append([]string{self, "cluster"}, arguments...), os.Environ())
}

// startMapped starts an inner command in a user namespace of its own, and reports
// whether there is nobody but root in there.
func startMapped(command *exec.Cmd) (single bool, err error) {
	waits, tell, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer tell.Close()
	command.Stdin = waits
	command.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	err = command.Start()
	waits.Close()
	if err != nil {
		return false, err
	}
	single, err = mapIDs(command.Process.Pid)
	if err == nil {
		_, err = tell.WriteString(areMapped)
	}
	if err != nil {
		return false, errors.Join(err, command.Process.Kill(), ignoreExit(command.Wait()))
	}
	return single, nil
}

func ignoreExit(err error) error {
	if errors.As(err, new(*exec.ExitError)) {
		return nil
	}
	return err
}

// mapIDs gives a process's new user namespace its users and groups.
func mapIDs(pid int) (single bool, err error) {
	proc := fmt.Sprintf("/proc/%d", pid)
	manyUsers := mapRanges("newuidmap", pid, os.Getuid(), "/etc/subuid")
	manyGroups := mapRanges("newgidmap", pid, os.Getgid(), "/etc/subgid")
	if !manyGroups {
		// The kernel's condition for a mapping that nobody has vouched for.
		err = errors.Join(os.WriteFile(filepath.Join(proc, "setgroups"), []byte("deny"), 0), mapOne(filepath.Join(proc, "gid_map"), os.Getgid()))
	}
	if !manyUsers {
		err = errors.Join(err, mapOne(filepath.Join(proc, "uid_map"), os.Getuid()))
	}
	return !manyUsers || !manyGroups, err
}

func mapOne(file string, own int) error {
	return os.WriteFile(file, fmt.Appendf(nil, "0 %d 1", own), 0)
}

// mapRanges has the program map root to the user and the ranges that he was given
// behind it. If that cannot be done, it is said in the log and left.
func mapRanges(program string, pid, own int, file string) bool {
	ranges, err := subordinates(file)
	if err != nil || len(ranges) == 0 {
		return false
	}
	arguments := []string{strconv.Itoa(pid), "0", strconv.Itoa(own), "1"}
	next := 1
	for _, r := range ranges {
		arguments = append(arguments, strconv.Itoa(next), strconv.Itoa(r.first), strconv.Itoa(r.count))
		next += r.count
	}
	output, err := exec.Command(program, arguments...).CombinedOutput() //nolint:noctx // it takes milliseconds
	if err != nil {
		fmt.Fprintf(os.Stderr, "janitor: going on with a single user: %s: %v\n%s", program, err, output)
	}
	return err == nil
}

// idRange is a range of users or groups of the host.
type idRange struct{ first, count int }

// subordinates reads the ranges that a file such as /etc/subuid gives to this user,
// by name or number.
func subordinates(file string) ([]idRange, error) {
	content, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer content.Close()
	number := strconv.Itoa(os.Getuid())
	name := number
	if known, err := user.LookupId(number); err == nil {
		name = known.Username
	}
	var ranges []idRange
	lines := bufio.NewScanner(content)
	for lines.Scan() {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 || fields[0] != name && fields[0] != number {
			continue
		}
		first, err := strconv.Atoi(fields[1])
		count, wrong := strconv.Atoi(fields[2])
		if err == nil && wrong == nil && count > 0 {
			ranges = append(ranges, idRange{first, count})
		}
	}
	return ranges, lines.Err()
}
