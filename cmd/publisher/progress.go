package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is the bar of what takes long; nil where nobody watches. Its methods
// are not safe for concurrent use.
type progress struct {
	bar *progressbar.ProgressBar
}

// newProgress shows a bar on standard error if that is a terminal; a total of
// -1 is not known.
func newProgress(s *session, doing, unit string, total int64) *progress {
	if s.json() || !isTerminal(s.std.err) {
		return nil
	}
	return &progress{bar: progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(s.std.err),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionShowIts(),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

func (p *progress) add(n int) {
	if p != nil {
		_ = p.bar.Add(n) // a bar that cannot be drawn stops nothing
	}
}

// grow makes the total larger.
func (p *progress) grow(n int) {
	if p != nil {
		p.bar.ChangeMax64(max(p.bar.GetMax64(), 0) + int64(n))
	}
}

// clear makes room for a line; the bar is drawn again by the next add.
func (p *progress) clear() {
	if p != nil {
		_ = p.bar.Clear()
	}
}

func (p *progress) end() {
	if p != nil {
		_ = p.bar.Finish()
	}
}

// countLines is how many lines will be sent, -1 when that is not known.
func (c *sendCmd) countLines() int64 {
	if c.File == "" || c.File == "-" {
		return -1
	}
	f, err := os.Open(c.File)
	if err != nil {
		return -1
	}
	defer f.Close() //nolint:errcheck // read only
	in := bufio.NewReaderSize(f, 64<<10)
	lines, number, blank := int64(0), 1, true
	for {
		part, err := in.ReadSlice('\n')
		blank = blank && len(bytes.TrimSpace(part)) == 0
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if !blank && number >= c.ResumeFrom {
			lines++
		}
		if err != nil {
			return lines
		}
		number, blank = number+1, true
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
