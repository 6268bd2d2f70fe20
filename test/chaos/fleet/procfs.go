package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// stopped tells whether a process stands still after SIGSTOP, state T of proc(5).
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	return processState(stat) == 'T'
}

// processState is the third field of /proc/PID/stat. The second is the
// program's name in parentheses, which may hold anything.
func processState(stat []byte) byte {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return 0
	}
	return stat[i+2]
}

// Memory is what a process holds of the machine's memory, in bytes: now, and the
// most since its start. Both are resident set sizes of proc(5), program text
// included.
type Memory struct{ Now, Peak int64 }

// Memory reads what the process of the last life holds.
func (p *Proc) Memory() (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return Memory{}, fmt.Errorf("%s: read memory: %w", p.name, err)
	}
	return memory(status)
}

// memory reads /proc/PID/status.
func memory(status []byte) (m Memory, err error) {
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"VmRSS": &m.Now, "VmHWM": &m.Peak}[name]
		if into == nil {
			continue
		}
		var kB int64
		if _, err := fmt.Sscanf(value, "%d kB", &kB); err != nil {
			return Memory{}, fmt.Errorf("read memory: %q: %w", line, err)
		}
		*into = kB << 10
	}
	if m.Now == 0 || m.Peak == 0 {
		return Memory{}, errors.New("read memory: the process holds none")
	}
	return m, nil
}

// lastLine is the last line of a log, for errors.
func lastLine(file string) string {
	const most = 2048
	f, err := os.Open(file)
	if err != nil {
		return "nothing"
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	text, err := io.ReadAll(f)
	text = bytes.TrimSpace(text)
	if err != nil || len(text) == 0 {
		return "nothing"
	}
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}
