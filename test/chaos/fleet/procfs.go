package fleet

import (
	"bytes"
	"fmt"
	"io"
	"os"
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
