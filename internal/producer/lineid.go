package producer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// LineIDs gives ids to lines that have none, so that a second run over the same
// file sends the same ids and nothing is executed twice. An id depends on the
// producer, the callRef, the action, the body and how many times the same came
// before; not on the line's number, so lines may be added or taken away. The
// zero value is ready.
type LineIDs struct {
	seen map[[16]byte]int      // how often a content without id came
	used map[[16]byte]usedLine // the ids that lines say themselves
}

type usedLine struct {
	number  int
	content [16]byte
}

// Give returns the line with an id; a line that says one stays as it is. It is
// an error when a line says the id of another command of its call: the queue
// would take the second for a repetition and drop it without a word. Call Give
// for every line, in order.
func (ids *LineIDs) Give(l Line, producer string) (Line, error) {
	key := l.Key(producer)
	content := sum(key.Producer, key.CallRef, string(l.Action), string(l.Body()))
	if !l.HasID() {
		if ids.seen == nil {
			ids.seen = make(map[[16]byte]int)
		}
		n := ids.seen[content]
		ids.seen[content]++
		id := sum(string(content[:]), fmt.Sprint(n))
		return l.WithID(hex.EncodeToString(id[:13])), nil
	}
	if l.ID == "" {
		return l, nil // not usable; the check of the command says so
	}
	if ids.used == nil {
		ids.used = make(map[[16]byte]usedLine)
	}
	name := sum(key.Producer, key.CallRef, key.ID)
	if before, found := ids.used[name]; found && before.content != content {
		return l, &LineError{Line: l.Number, Member: "id", Problem: fmt.Sprintf("line %d says the same id for another command of this call", before.number), Allowed: "another id"}
	}
	ids.used[name] = usedLine{number: l.Number, content: content}
	return l, nil
}

// sum hashes the parts with their lengths, so that no two lists are the same.
func sum(parts ...string) [16]byte {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return [16]byte(h.Sum(nil))
}
