package commands

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Lookup finds every row about a code, a subcode, "code/subcode", an HTTP
// status ("503" or "HTTP 503"), a word or a reason, in the order of the tables:
// 7000 is a normal end with code 200 and a failed transfer with 500. Words are
// found in any case. It returns nil when nothing fits.
func Lookup(text string) []Explanation {
	text = strings.Join(strings.Fields(text), " ")
	var found []Explanation
	for _, r := range rows {
		if text != "" && r.about(text) {
			found = append(found, r.explanation())
		}
	}
	if main, sub, ok := strings.Cut(text, "/"); ok && len(found) == 0 {
		_, errMain := strconv.Atoi(main)
		_, errSub := strconv.Atoi(sub)
		if errMain == nil && errSub == nil {
			return []Explanation{Explain(text)}
		}
	}
	return found
}

func (r row) about(text string) bool {
	main, sub, _ := strings.Cut(r.code, "/")
	return strings.EqualFold(text, r.code) || text == main || text == sub ||
		httpPrefix+text == r.code || strings.EqualFold(text, r.reason)
}

const httpPrefix = "HTTP "

// nearMost bounds what Near returns.
const nearMost = 5

// Near names codes and words of the tables that are spelled almost like text,
// the nearest first, five at most: for somebody who has mistyped one.
func Near(text string) []string {
	text = strings.ToLower(strings.TrimSpace(text))
	if len(text) < 2 || len(text) > MaxID {
		return nil
	}
	most := 1 + len(text)/5 // a letter in five, and one more
	number, err := strconv.Atoi(text)
	if err == nil {
		most = 1
	}
	distances := map[string]int{}
	for _, r := range rows {
		for _, word := range r.words() {
			if d := distance(text, strings.ToLower(word)); d <= most {
				distances[word] = d
			}
		}
	}
	near := make([]string, 0, len(distances))
	for word := range distances {
		near = append(near, word)
	}
	apart := func(word string) int {
		n, err := strconv.Atoi(word)
		if err != nil {
			return 0
		}
		return max(n-number, number-n)
	}
	slices.SortFunc(near, func(a, b string) int {
		return cmp.Or(distances[a]-distances[b], apart(a)-apart(b), cmp.Compare(a, b))
	})
	return near[:min(len(near), nearMost)]
}

// words are what a row is found by.
func (r row) words() []string {
	words := []string{strings.TrimPrefix(r.code, httpPrefix), r.reason}
	if main, sub, ok := strings.Cut(r.code, "/"); ok {
		words = []string{r.code, r.reason, main, sub}
	}
	return slices.DeleteFunc(words, func(w string) bool { return len(w) < 2 })
}

// distance is how many letters have to be put in, left out, changed or swapped
// with their neighbour to make a into b.
func distance(a, b string) int {
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
