package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/ledger"
)

// TestReadAfterIsRead: who has just written may read in one request, and sees
// what a whole read shows, also when somebody else has written since.
func TestReadAfterIsRead(t *testing.T) {
	ctx := t.Context()
	j := open(t, single(t), 1, 1)[0]
	key := func(id string) commands.Key { return commands.Key{Producer: "crm", CallRef: "order-1", ID: id} }
	append := func(id string, a commands.Action, s commands.Status) ledger.View {
		t.Helper()
		v, err := j.Read(ctx, key(id))
		if err == nil {
			err = j.Append(ctx, &v, record(a, s, "n"))
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	append("p", commands.Place, commands.Accepted)
	append("m", commands.Mute, commands.Waiting)
	written := append("pp", commands.PlayPrompt, commands.Superseded)
	same := func(name string, key commands.Key, after ledger.View) {
		t.Helper()
		want, err := j.Read(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := j.ReadAfter(ctx, key, after)
		if err != nil {
			t.Fatal(err)
		}
		// Stored by this process's clock, or the server's.
		if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".LastAt" }, cmp.Ignore())); diff != "" {
			t.Errorf("%s: ReadAfter differs from Read (-read +after):\n%s", name, diff)
		}
	}
	same("another command's record is there", key("m"), written)
	same("a command without a record", key("new"), written)
	same("the place itself", key("p"), written)
	same("its own command", key("pp"), written)
	same("no view", key("m"), ledger.View{})
	same("another call", commands.Key{Producer: "crm", CallRef: "order-2", ID: "m"}, written)
	append("m", commands.Mute, commands.Started)
	same("the command has moved since", key("m"), written)
	append("u", commands.Unmute, commands.Waiting)
	same("somebody else's record came since", key("pp2"), append("pp2", commands.PlayPrompt, commands.Waiting))
	// What is read may be written on with.
	v, err := j.ReadAfter(ctx, key("m2"), append("x", commands.Transfer, commands.Waiting))
	if err == nil {
		err = j.Append(ctx, &v, record(commands.Mute, commands.Waiting, "n"))
	}
	if err != nil {
		t.Error(err)
	}
}
